#!/usr/bin/env bash
# Check the derivatives of a project, compare them with a stored run, and write a summary of both in Markdown.
#
# Reads VERB PROBLEMS OPTIONS BASELINE DIFF_OPTIONS TITLE, and GitHub's RUNNER_TEMP GITHUB_OUTPUT GITHUB_STEP_SUMMARY.
# Ends well whatever it finds: the exit codes are outputs, so that the comment is written before the job fails.
set -uo pipefail

# GitHub rejects comments above 65 536 characters.
longest=60000
place=$(mktemp -d "$RUNNER_TEMP/autodiff-compare.XXXXXX")
mkdir "$place/runs"

# Problems and options are lists of words, and files may be given by a pattern.
# shellcheck disable=SC2086
autodiff-compare "$VERB" --out "$place/runs" --markdown $OPTIONS $PROBLEMS > "$place/tables" 2> "$place/errors"
code=$?
cat "$place/errors" >&2
folder=$(find "$place/runs" -mindepth 1 -maxdepth 1 -type d | head -n 1)

diff_code=
if [[ -n $BASELINE && -n $folder ]]; then
  # shellcheck disable=SC2086
  autodiff-compare diff --markdown $DIFF_OPTIONS "$BASELINE" "$folder" > "$place/diff" 2> "$place/diff_errors"
  diff_code=$?
  cat "$place/diff_errors" >&2
fi

case $code in
  0) found="every derivative agrees with its reference" ;;
  1) found="some derivative is wrong" ;;
  2) found="the command is mistaken" ;;
  3) found="some derivative could not be computed" ;;
  *) found="ended with exit code $code" ;;
esac
case ${diff_code:-0} in
  0) ;;
  1) found="$found; there is a regression" ;;
  *) found="$found; the runs could not be compared" ;;
esac

# A message as a block of code: whatever it holds is text.
quoted() {
  sed 's/^/    /' "$1"
  echo
}

{
  echo "<!-- autodiff-compare: $TITLE -->"
  echo "### $TITLE: $found"
  echo
  [[ -s $place/tables || ! -s $place/errors ]] || quoted "$place/errors"
  if [[ -n $diff_code ]]; then
    echo "#### Since the stored run"
    echo
    [[ ! -s $place/diff_errors ]] || quoted "$place/diff_errors"
    cat "$place/diff"
  fi
  echo "<details><summary>Tables</summary>"
  echo
  cat "$place/tables"
  echo "</details>"
} > "$place/whole.md"
# A character may be cut in the middle; iconv drops the rest of it.
head -c "$longest" "$place/whole.md" | iconv -c -f UTF-8 -t UTF-8 > "$place/summary.md"
if (($(wc -c < "$place/whole.md") > longest)); then
  printf '\n</details>\n\nCut here, at %s bytes: GitHub rejects longer comments.\n' "$longest" >> "$place/summary.md"
fi

cat "$place/summary.md" >> "$GITHUB_STEP_SUMMARY"
{
  echo "folder=$folder"
  echo "markdown=$place/summary.md"
  echo "exit-code=$code"
  echo "diff-exit-code=$diff_code"
} >> "$GITHUB_OUTPUT"
