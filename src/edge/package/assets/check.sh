#!/bin/sh
# Runs the model with whatever this machine has and compares with the golden outputs; says what ran and what did not.
# Exit code: 0 something ran and all of it agreed, 1 something did not agree, 2 nothing here can run it.
# CC and PYTHON name another compiler and another Python.
cd "$(dirname "$0")" || exit 2
ran='' failed=''
say() { printf '%-12s %s\n' "$1" "$2"; }

if [ -d c ]; then
  cc=${CC:-cc}
  if command -v "${cc%% *}" >/dev/null 2>&1; then
    build=$(mktemp -d) || exit 2
    trap 'rm -rf "$build"' EXIT
    if ! $cc -std=c99 -O1 -o "$build/self_test" c/*.c -lm >"$build/said" 2>&1; then
      cat "$build/said"
      say c "FAILED: $cc does not compile it"
      failed=1
    elif "$build/self_test"; then
      say c "passed: the self-test, compiled by $cc"
      ran=1
    else
      say c "FAILED: the self-test, compiled by $cc"
      failed=1
    fi
  else
    say c "not run: there is no $cc"
  fi
fi

python=${PYTHON:-python3}
if command -v "$python" >/dev/null 2>&1; then
  "$python" check.py
  case $? in
    0) ran=1 ;;
    3) ;;
    *) failed=1 ;;
  esac
else
  say python "not run: there is no $python"
fi

if [ "$failed" ]; then exit 1; fi
if [ ! "$ran" ]; then
  echo "Nothing here can run the model. One of these can: a C compiler (where there is a folder c), or Python with NumPy and miniten, onnxruntime or ai-edge-litert."
  exit 2
fi
