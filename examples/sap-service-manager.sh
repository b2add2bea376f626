#!/bin/sh
# SAP Service Manager: registers the broker for the subaccount that smctl is logged in to.
set -eu
: "${BROKER_URL:?e.g. https://broker.example.com}" "${BROKER_USERNAME:?}" "${BROKER_PASSWORD:?}"
smctl register-broker kubedb "$BROKER_URL" "KubeDB databases" --basic "$BROKER_USERNAME:$BROKER_PASSWORD"
smctl marketplace
