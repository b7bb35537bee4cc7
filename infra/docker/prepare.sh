#!/bin/sh
# Makes running parts fit for the services; every step is safe to repeat. The same commands as by hand, in their order.
set -eu

ragline() { node tools/src/main.ts "$@"; }

ragline migrate
ragline topics apply
ragline schemas register
ragline connectors apply
if [ "${RAGLINE_ENV:-development}" != production ]; then
  DATABASE_URL=$DATABASE_URL_RAGLINE_IDENTITY node services/identity/src/seed.ts
fi
