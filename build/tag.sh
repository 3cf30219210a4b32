#!/usr/bin/env bash
# Tags vX.Y.Z and vX a commit beside main that has the action's bundle, pushes both, and leaves release.json, by which
# the package knows that commit. Run again after a failure it goes on with the tag that is there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

version=$(node -p 'JSON.parse(require("node:fs").readFileSync("package.json", "utf8")).version')
tag="v$version"
major="v${version%%.*}"
source=$(git rev-parse HEAD)

if git fetch --quiet --depth=2 origin "refs/tags/$tag:refs/tags/$tag" 2>/dev/null; then
  if [ "$(git rev-parse "$tag^")" != "$source" ]; then
    echo "release: $tag is there already, of another commit: raise the version in package.json" >&2
    exit 1
  fi
else
  node build/action.ts
  git add --force action
  git -c user.name=keyturn -c user.email=keyturn@localhost commit --quiet --message "Release $tag" \
    --message "The source of ${source}, with the action in one file."
  git tag "$tag"
  git tag --force "$major" >/dev/null
  git push --quiet --atomic origin "refs/tags/$tag" "+refs/tags/$major"
  git reset --quiet --soft "$source"
  git reset --quiet -- action
fi
printf '{ "action": "%s", "commit": "%s" }\n' "$GITHUB_REPOSITORY" "$(git rev-parse "$tag^{commit}")" >release.json
echo "release: $tag is $(git rev-parse "$tag^{commit}")"
