# One image for the ten functions, the dashboard and the edge router; its argument says which one runs: `catalog`, `bind`,
# `edge-router`.
#
#   docker build -t registry.example.com/kubedb-service-broker:0.1.0 .
#
# Node is that of the packages node-linux-* in package.json, here as everywhere: the builder's own only serves npm.
ARG BUILD_BASE=docker.io/library/node:24-bookworm-slim
ARG BASE=gcr.io/distroless/cc-debian12:nonroot

FROM ${BUILD_BASE} AS dependencies
WORKDIR /src
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund \
 && mkdir -p /root-of-image/usr/bin /root-of-image/usr/lib \
 && cp node_modules/node-linux-*/bin/node /root-of-image/usr/bin/node \
 && cp -L /usr/lib/*-linux-gnu/libatomic.so.1 /root-of-image/usr/lib/

FROM dependencies AS sources
COPY . .

FROM sources AS development-bundles
RUN npm run build -- /app --verify

# What `skaffold dev` builds after every change: the same bundles, of which functions start slower, and what
# `skaffold verify` runs. What a change leaves as it is comes first.
FROM ${BASE} AS development
ENV NODE_ENV=production
USER 65532:65532
WORKDIR /app
EXPOSE 8080
ENTRYPOINT ["/usr/bin/node"]
CMD ["catalog"]
COPY --from=dependencies /root-of-image/ /
COPY --from=development-bundles /app/ /app/

FROM sources AS build
RUN npm run build -- /app \
 && npm sbom --sbom-format cyclonedx --omit dev > /app/sbom.cdx.json \
 && mkdir -p /app/compile-cache \
 && chown 65532:65532 /app/compile-cache
# V8 keeps what it has compiled by user and path: as the user of the image, and where the functions will be.
USER 65532:65532
RUN /root-of-image/usr/bin/node image/fill-cache.ts /app

FROM ${BASE}
ARG VERSION=0.1.0
ARG REVISION=
LABEL org.opencontainers.image.title="KubeDB Service Broker" \
      org.opencontainers.image.description="Open Service Broker 2.17 for KubeDB: ten functions, a dashboard and an edge router" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /root-of-image/ /
COPY --from=build /app/ /app/
ENV NODE_ENV=production NODE_COMPILE_CACHE=/app/compile-cache
USER 65532:65532
WORKDIR /app
EXPOSE 8080
# `node catalog` runs catalog/index.js. No shell, no npm in between: SIGTERM reaches the function.
ENTRYPOINT ["/usr/bin/node"]
CMD ["catalog"]
