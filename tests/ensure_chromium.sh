#!/bin/sh
# The report's tests drive a real Chromium: use the one that is there, else install one.
set -eu
if [ -n "${ROOFTUNE_CHROMIUM:-}" ]; then exit 0; fi
for name in chromium chromium-browser google-chrome google-chrome-stable; do
    if command -v "$name" >/dev/null 2>&1; then exit 0; fi
done
if command -v apt-get >/dev/null 2>&1; then
    if [ "$(id -u)" = 0 ]; then as_root=""; else as_root="sudo"; fi
    echo "installing Chromium ..."
    if $as_root apt-get update -qq && $as_root apt-get install -y -qq --no-install-recommends chromium >/dev/null; then exit 0; fi
fi
echo "installing Playwright's Chromium ..."
exec "${PYTHON:-python3}" -m playwright install chromium
