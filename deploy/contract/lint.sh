#!/bin/sh
# Lints the contracts, gateway/openapi/openapi.yaml and shared/broker/asyncapi.yaml, with Spectral and
# Redocly in the versions of package-lock.json, which it installs beside itself. `make lint-api` runs it.
set -eu
cd "$(dirname "$0")"
command -v npm >/dev/null || {
	echo "npm is missing, which installs the linters of the contracts: install Node.js 20 or later with npm (apt-get install npm)" >&2
	exit 1
}
if ! [ node_modules/.package-lock.json -nt package-lock.json ]; then
	echo "installing the linters of the contracts (once)"
	npm ci --silent || {
		echo "npm could not install the linters: it needs the npm registry, or a mirror of it (npm config get registry)" >&2
		exit 1
	}
fi
openapi=../../gateway/openapi/openapi.yaml
asyncapi=../../shared/broker/asyncapi.yaml
export REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true
npx --no-install spectral lint --fail-severity=hint "$openapi" "$asyncapi"
npx --no-install redocly lint --format=stylish "$openapi"
