std = "lua54"
max_line_length = 100
max_cyclomatic_complexity = 20
exclude_files = { "build", "build-*" }

files["spec"] = { std = "+busted" }
files["*.rockspec"] = { std = "+rockspec" }
files[".busted"] = { std = "lua54" }
