#!/usr/bin/env bash
# Install from Debian's packages what the tests need beside Python, where it is missing and can be installed.
# Where it cannot, the tests that need it skip and say why.
set -u
missing=()
command -v chromium >/dev/null || missing+=(chromium)
command -v tesseract >/dev/null || missing+=(tesseract-ocr)
command -v ip >/dev/null || missing+=(iproute2)
ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || command -v postgres >/dev/null || missing+=(postgresql)
[ -x /usr/sbin/nginx ] || command -v nginx >/dev/null || missing+=(nginx-light)
[ ${#missing[@]} -eq 0 ] && exit 0
if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
  echo "Installing for the tests: ${missing[*]}"
  (apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}") >/tmp/scholion-apt.log 2>&1 ||
    echo "Could not install ${missing[*]} (see /tmp/scholion-apt.log); the tests that need it will skip."
else
  echo "For all tests install: ${missing[*]} (for example: sudo apt-get install ${missing[*]}); those that need it will skip."
fi
exit 0
