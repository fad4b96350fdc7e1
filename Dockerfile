# One image for every process of Ashlar: `docker run ashlar server run …`, `gateway run …`, or any other command.
#
# BUILDER has npm and any Node from 20 on, BASE has glibc and libstdc++ and needs nothing else: the Node that runs Ashlar is
# the one that package-lock.json pins. Where no registry of images can be reached, scripts/container/local-images.sh makes both
# from the machine it runs on.
ARG BUILDER=node:24-bookworm-slim
ARG BASE=debian:bookworm-slim

FROM ${BUILDER} AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
COPY packages/proto/package.json packages/proto/
COPY packages/node/package.json packages/node/
COPY packages/client/package.json packages/client/
COPY packages/cli/package.json packages/cli/
RUN npm ci --ignore-scripts
COPY tsconfig.base.json tsconfig.pure.json ./
COPY packages packages
RUN node_modules/.bin/node node_modules/typescript/bin/tsc -b packages/cli
COPY scripts/container/assemble.mjs scripts/container/healthcheck.mjs scripts/container/
RUN npm prune --omit=dev --ignore-scripts && node scripts/container/assemble.mjs /image

FROM ${BASE}
LABEL org.opencontainers.image.title="Ashlar" \
  org.opencontainers.image.description="Distributed replicated block store" \
  org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /image/opt/ashlar /opt/ashlar
# Named volumes take owner and mode of the folder that they are mounted on.
COPY --from=build --chown=65532:65532 /image/data /var/lib/ashlar
ENV NODE_ENV=production \
  PATH=/opt/ashlar/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  UV_THREADPOOL_SIZE=16 \
  NODE_OPTIONS=--max-semi-space-size=4 \
  MALLOC_ARENA_MAX=1 \
  MALLOC_MMAP_THRESHOLD_=262144
# LevelDB, fsync and zlib share libuv's threads: with the default of 4, one slow disk would stall all of them.
# Memory in use instead of memory kept for later: docs/benchmarks.md has what the last three are worth.
USER 65532:65532
VOLUME /var/lib/ashlar
WORKDIR /var/lib/ashlar
EXPOSE 7480 7580 10809
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=6 CMD ["node", "/opt/ashlar/healthcheck.mjs"]
ENTRYPOINT ["/opt/ashlar/bin/ashlar"]
