# Reads CTest's LastTest.log and prints "PASSED FAILED". A cmocka program counts as its cases, the
# simulator as what its own last line says, any other program as one test.
/^[0-9]+\/[0-9]+ Testing: / { good = 0; bad = 0; programs++ }
/^\[  PASSED  \] [0-9]+ test/ { good += $4 }
/^\[  FAILED  \] [0-9]+ test/ { bad += $4 }
/^[0-9]+ passed, [0-9]+ failed$/ { good += $1; bad += $3 }
/^Test Passed\.$/ { passed += good > 0 ? good : 1 }
/^Test Failed\.$/ { passed += good; failed += bad > 0 ? bad : 1 }
END {
  if (programs == 0) failed++
  print passed + 0, failed + 0
}
