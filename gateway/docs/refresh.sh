#!/bin/sh
# Takes the files of Swagger UI and ReDoc from their npm packages, in the versions that
# gateway/docs/assets/VERSION names, and leaves them compressed beside it. `make docs-assets` runs it.
set -eu
cd "$(dirname "$0")/assets"
command -v npm >/dev/null || { echo "npm is missing: install Node.js with npm, then run make docs-assets again" >&2; exit 1; }
assets=$PWD
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

while read -r name version; do
	(cd "$scratch" && tar xzf "$(npm pack --silent "$name@$version")" && mv package "$name")
done <VERSION

# take FILE NAME: the file of a package, compressed, without the address of its source map, and without
# the logo that ReDoc would fetch from another host: in its place stands a picture of one clear dot.
dot='data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA='
take() {
	sed -e '/^[/][/*]# sourceMappingURL=/d' -e "s|https://cdn.redoc.ly/redoc/logo-mini.svg|$dot|" "$scratch/$1" | gzip -9 -n >"$assets/$2.gz"
}
take swagger-ui-dist/swagger-ui-bundle.js swagger-ui-bundle.js
take swagger-ui-dist/swagger-ui.css swagger-ui.css
take redoc/bundles/redoc.standalone.js redoc.standalone.js
cp "$scratch/swagger-ui-dist/LICENSE" swagger-ui.LICENSE.txt
cp "$scratch/swagger-ui-dist/NOTICE" swagger-ui.NOTICE.txt
cp "$scratch/swagger-ui-dist/swagger-ui-bundle.js.LICENSE.txt" swagger-ui-bundle.js.LICENSE.txt
cp "$scratch/redoc/LICENSE" redoc.LICENSE.txt
cp "$scratch/redoc/bundles/redoc.standalone.js.LICENSE.txt" redoc.standalone.js.LICENSE.txt
