#!/usr/bin/env bash
# Write a summary as a comment on a pull request; an earlier comment with the same first line is replaced.
#
# Reads NUMBER MARKDOWN, GitHub's GITHUB_REPOSITORY, and GH_TOKEN for gh.
set -euo pipefail

export MARK
MARK=$(head -n 1 "$MARKDOWN")
comments="repos/$GITHUB_REPOSITORY/issues/$NUMBER/comments"
earlier=$(gh api --paginate "$comments" --jq '.[] | select(.body | startswith(env.MARK)) | .id' | sed -n 1p)
if [[ -n $earlier ]]; then
  gh api --method PATCH "repos/$GITHUB_REPOSITORY/issues/comments/$earlier" --field "body=@$MARKDOWN" > /dev/null
else
  gh api --method POST "$comments" --field "body=@$MARKDOWN" > /dev/null
fi
