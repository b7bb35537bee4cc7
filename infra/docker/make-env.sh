#!/bin/sh
# Writes .env for docker compose: a password for each part and each service, made here and now. An .env that is there stays.
#
#   sh infra/docker/make-env.sh
set -eu
cd "$(dirname "$0")/../.."

if [ -e .env ]; then
  echo ".env is there already: remove it to have new passwords (and the volumes with it: docker compose --profile full down --volumes)" >&2
  exit 0
fi
umask 077
secret() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
{
  for name in \
    POSTGRES_PASSWORD POSTGRES_PASSWORD_IDENTITY POSTGRES_PASSWORD_ORDERS POSTGRES_PASSWORD_NOTIFICATIONS \
    POSTGRES_PASSWORD_DEAD_LETTERS POSTGRES_PASSWORD_CHAT POSTGRES_PASSWORD_CDC POSTGRES_PASSWORD_REGISTRY \
    KAFKA_PASSWORD KAFKA_PASSWORD_CONNECT KAFKA_PASSWORD_IDENTITY KAFKA_PASSWORD_ORDERS KAFKA_PASSWORD_NOTIFICATIONS \
    KAFKA_PASSWORD_DEAD_LETTERS KAFKA_PASSWORD_CHAT REGISTRY_PASSWORD REDIS_PASSWORD \
    KEY_ENCRYPTION_SECRET CURSOR_SECRET QUOTE_SECRET DELEGATION_SECRET WEBHOOK_SECRET SENTINEL_PASSWORD; do
    echo "$name=$(secret)"
  done
  echo "RAGLINE_DEMO_PASSWORD=$(secret | cut -c1-16)"
  # 16 bytes in base64url, without `-` at the front: Kafka's tools would take it for an option.
  echo "KAFKA_CLUSTER_ID=R$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n' | cut -c1-21)"
} >.env.new
mv .env.new .env
echo "wrote .env; next: docker compose --profile full up --build"
