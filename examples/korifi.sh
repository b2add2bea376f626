#!/bin/sh
# Korifi: as Cloud Foundry, through the cf client.
set -eu
: "${BROKER_URL:?e.g. https://broker.example.com}" "${BROKER_USERNAME:?}" "${BROKER_PASSWORD:?}"
cf create-service-broker kubedb "$BROKER_USERNAME" "$BROKER_PASSWORD" "$BROKER_URL"
cf service-access -b kubedb
