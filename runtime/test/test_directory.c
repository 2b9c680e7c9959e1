/* The directory of the shares: where it is, whom it trusts, what names it knows. */
#include "rendezvous_support.h"
#include "system_status.h"

static void test_names_of_shares_are_checked(void **state) {
  (void)state;
  static const char *const good[] = {"a", "arena", "A.b-c_9", "a..b", "0"};
  static const char *const bad[] = {"",    ".a",  "a.",       ".",  "..",
                                    "a/b", "a b", "\xc3\xa4", "a\n"};
  ms_error error;
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    assert_int_equal(msi_name_check(good[i], &error), MS_OK);
  }
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    assert_int_equal(msi_name_check(bad[i], &error), MS_EARGUMENT);
    assert_int_equal(error.status, MS_EARGUMENT);
  }
  char longest[MS_NAME_MAX + 2];
  memset(longest, 'x', sizeof longest);
  longest[MS_NAME_MAX + 1] = '\0';
  assert_int_equal(msi_name_check(longest, &error), MS_EARGUMENT);
  assert_non_null(strstr(error.message, "xxx"));
  longest[MS_NAME_MAX] = '\0';
  assert_int_equal(msi_name_check(longest, NULL), MS_OK);
  assert_int_equal(msi_name_check(NULL, NULL), MS_EARGUMENT);
}

static void test_a_directory_is_made_with_mode_0700_when_asked(void **state) {
  (void)state;
  scratch home;
  scratch_open(&home);
  char path[128];
  snprintf(path, sizeof path, "%s/shares/", home.path);
  msi_directory directory;
  ms_error error;
  assert_int_equal(msi_directory_open(path, false, &directory, &error), MS_ENOENT);
  mode_t before = umask(0);
  assert_int_equal(msi_directory_open(path, true, &directory, &error), MS_OK);
  umask(before);
  struct stat info;
  assert_int_equal(fstat(directory.fd, &info), 0);
  assert_int_equal(info.st_mode & 07777, 0700);
  assert_int_equal(fcntl(directory.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
  assert_int_equal(directory.path[strlen(directory.path) - 1], 's');
  msi_directory_close(&directory);
  msi_directory_close(&directory);
  assert_int_equal(msi_directory_open(path, true, &directory, &error), MS_OK);
  msi_directory_close(&directory);
  rmdir(path);
  scratch_close(&home);
}

static void test_directories_that_others_could_use_are_refused(void **state) {
  (void)state;
  scratch home;
  scratch_open(&home);
  msi_directory directory;
  ms_error error;
  static const mode_t modes[] = {0755, 0710, 0701, 0770, 01777};
  for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
    assert_int_equal(chmod(home.path, modes[i]), 0);
    assert_int_equal(msi_directory_open(home.path, true, &directory, &error), MS_EDENIED);
    assert_non_null(strstr(error.message, home.path));
  }
  assert_int_equal(chmod(home.path, 0700), 0);

  char path[128];
  snprintf(path, sizeof path, "%s/link", home.path);
  assert_int_equal(symlink(home.path, path), 0);
  assert_int_equal(msi_directory_open(path, true, &directory, &error), MS_EDENIED);
  assert_non_null(strstr(error.message, "symbolic link"));
  snprintf(path, sizeof path, "%s/link///", home.path);
  assert_int_equal(msi_directory_open(path, true, &directory, &error), MS_EDENIED);

  scratch_put(&home, "file", "x", 1, 0600);
  snprintf(path, sizeof path, "%s/file", home.path);
  assert_int_equal(msi_directory_open(path, true, &directory, &error), MS_EDENIED);
  assert_non_null(strstr(error.message, "not a directory"));
  snprintf(path, sizeof path, "%s/missing/shares", home.path);
  assert_int_equal(msi_directory_open(path, true, &directory, &error), MS_ENOENT);
  assert_int_equal(msi_directory_open("", true, &directory, &error), MS_EARGUMENT);
  scratch_close(&home);
}

static void test_a_directory_of_another_user_is_refused(void **state) {
  (void)state;
  if (geteuid() != 0) skip();
  scratch home;
  scratch_open(&home);
  assert_int_equal(chown(home.path, 65534, 65534), 0);
  msi_directory directory;
  ms_error error;
  assert_int_equal(msi_directory_open(home.path, true, &directory, &error), MS_EDENIED);
  assert_non_null(strstr(error.message, "65534"));
  scratch_close(&home);
}

static void test_the_default_directory_follows_the_environment(void **state) {
  (void)state;
  scratch home;
  scratch_open(&home);
  char path[128];
  msi_directory directory;
  ms_error error;
  setenv("XDG_RUNTIME_DIR", home.path, 1);
  unsetenv("MEMSHARE_DIR");
  assert_int_equal(msi_directory_open(NULL, true, &directory, &error), MS_OK);
  snprintf(path, sizeof path, "%s/memshare", home.path);
  assert_string_equal(directory.path, path);
  msi_directory_close(&directory);
  setenv("MEMSHARE_DIR", home.path, 1);
  assert_int_equal(msi_directory_open(NULL, true, &directory, &error), MS_OK);
  assert_string_equal(directory.path, home.path);
  msi_directory_close(&directory);
  unsetenv("MEMSHARE_DIR");
  unsetenv("XDG_RUNTIME_DIR");
  snprintf(path, sizeof path, "/tmp/memshare-%lu", (unsigned long)geteuid());
  if (msi_directory_open(NULL, false, &directory, &error) == MS_OK) {
    assert_string_equal(directory.path, path);
    msi_directory_close(&directory);
  } else {
    assert_non_null(strstr(error.message, path));
  }
  snprintf(path, sizeof path, "%s/memshare", home.path);
  rmdir(path);
  scratch_close(&home);
}

static void test_a_relative_path_becomes_absolute(void **state) {
  (void)state;
  scratch home;
  scratch_open(&home);
  int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  assert_int_equal(chdir(home.path), 0);
  msi_directory directory;
  ms_error error;
  assert_int_equal(msi_directory_open("sub", true, &directory, &error), MS_OK);
  assert_int_equal(fchdir(here), 0);
  close(here);
  char path[128];
  snprintf(path, sizeof path, "%s/sub", home.path);
  assert_string_equal(directory.path, path);
  msi_directory_close(&directory);
  rmdir(path);
  scratch_close(&home);
}

static void test_files_of_a_share_are_told_from_those_of_others(void **state) {
  (void)state;
  char file[MSI_FILE_NAME_MAX];
  uint64_t term = 0;
  msi_directory_log_name("a", 12, file, sizeof file);
  assert_string_equal(file, "a.12.log");
  assert_true(msi_directory_parse_term(file, "a", &term));
  assert_int_equal(term, 12);
  msi_directory_socket_name("a", MSI_TERM_MAX, file, sizeof file);
  assert_true(msi_directory_parse_term(file, "a", &term));
  assert_int_equal(term, MSI_TERM_MAX);
  static const char *const others[] = {
      "a.group",   "a.1.2.log", "a.01.log",
      "a..log",    "a.1.logs",  "a.-1.log",
      "ab.1.log",  "a.log",     "a.99999999999999999999.log",
      "a.1.group", "a",         ".a.1.log"};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
    assert_false(msi_directory_parse_term(others[i], "a", &term));
  }
  assert_true(msi_directory_parse_term("a.1.2.log", "a.1", &term));
  assert_int_equal(term, 2);
}

static void test_sweeping_removes_older_terms_of_one_share(void **state) {
  (void)state;
  scratch home;
  scratch_open(&home);
  static const char *const files[] = {"a.1.log", "a.2.sock", "a.3.log",  "a.4.log",
                                      "a.group", "b.1.log",  "a.1.1.log"};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    scratch_put(&home, files[i], "x", 1, 0600);
  }
  msi_directory_sweep(&home.directory, "a", 3);
  assert_false(scratch_has(&home, "a.1.log"));
  assert_false(scratch_has(&home, "a.2.sock"));
  assert_int_equal(scratch_count(&home), 5);
  scratch_close(&home);
}

static void test_a_directory_that_vanished_does_no_harm(void **state) {
  (void)state;
  scratch home;
  scratch_open(&home);
  assert_int_equal(rmdir(home.path), 0);
  msi_directory_sweep(&home.directory, "a", 3);
  msi_directory_close(&home.directory);
}

static void test_system_codes_become_ours(void **state) {
  (void)state;
  assert_int_equal(msi_from_errno(0), MS_OK);
  assert_int_equal(msi_from_errno(EPERM), MS_EDENIED);
  assert_int_equal(msi_from_errno(EROFS), MS_EDENIED);
  assert_int_equal(msi_from_errno(ENOSPC), MS_ELIMIT);
  assert_int_equal(msi_from_uv(0), MS_OK);
  assert_int_equal(msi_from_uv(-EMFILE), MS_ELIMIT);
  assert_int_equal(msi_from_uv(-ECONNREFUSED), MS_ENOHOST);
  ms_error error;
  assert_int_equal(msi_fail_errno(&error, ENOENT, "cannot open %s", "x"), MS_ENOENT);
  assert_string_equal(error.message, "cannot open x: no such file or directory");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_names_of_shares_are_checked),
      cmocka_unit_test(test_a_directory_is_made_with_mode_0700_when_asked),
      cmocka_unit_test(test_directories_that_others_could_use_are_refused),
      cmocka_unit_test(test_a_directory_of_another_user_is_refused),
      cmocka_unit_test(test_the_default_directory_follows_the_environment),
      cmocka_unit_test(test_a_relative_path_becomes_absolute),
      cmocka_unit_test(test_files_of_a_share_are_told_from_those_of_others),
      cmocka_unit_test(test_sweeping_removes_older_terms_of_one_share),
      cmocka_unit_test(test_a_directory_that_vanished_does_no_harm),
      cmocka_unit_test(test_system_codes_become_ours),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
