# syntax=docker/dockerfile:1
# One image per service: docker build --build-arg SERVICE=stt .   (stt, tts, embeddings, orchestrator)
# Node runs the TypeScript as it is, so nothing is compiled: an image is Node, one service's dependencies, and sources.

FROM node:24-trixie-slim AS base

# Only what decides the dependencies comes in before the install, so that a change of source leaves its layer as it is.
FROM base AS dependencies
ARG SERVICE
WORKDIR /app
COPY package.json pnpm-lock.yaml pnpm-workspace.yaml ./
COPY packages/shared/package.json packages/shared/
COPY packages/hearing/package.json packages/hearing/
COPY services/${SERVICE}/package.json services/${SERVICE}/
# CI: no questions. ONNXRUNTIME_NODE_INSTALL: no CUDA download. The version is that of scripts/bootstrap.mjs; a test compares them.
ENV CI=true ONNXRUNTIME_NODE_INSTALL=skip
RUN --mount=type=cache,target=/root/.npm --mount=type=cache,target=/pnpm-store \
    npx -y pnpm@12.21.0 install --prod --frozen-lockfile --store-dir /pnpm-store --filter "@hearth/${SERVICE}..."
# onnxruntime-node brings every platform's library; this one needs its own. Source maps are for debuggers, and TypeScript among the
# dependencies is for compilers: Node runs none from there.
RUN find node_modules -path '*/onnxruntime-node/bin/napi-v*/*/*' -prune -type d ! -path "*/linux/$(node -p process.arch)" -exec rm -rf {} + \
 && find node_modules -type f \( -name '*.map' -o -name '*.ts' -o -name '*.cts' -o -name '*.mts' -o -name '*.md' \) -delete

# What runs needs of its base: Node, a shell and a few words for it, the libraries of these, and who is who. No package manager, no
# compiler, no program that changes the user. One layer, the same for all services; dpkg's list is for those who look for known faults.
FROM base AS kept
RUN mkdir -p /kept/etc /kept/tmp /kept/home /kept/var/lib/dpkg /kept/usr/bin /kept/usr/lib /kept/usr/lib64 /kept/usr/local/bin \
 && chmod 1777 /kept/tmp \
 && find / -maxdepth 1 -type l \( -name bin -o -name 'lib*' \) -exec cp -P {} /kept/ \;
# The C and C++ libraries whole, since native modules ask for more of them than Node does.
RUN keep() { mkdir -p "/kept$(dirname "$1")" && cp -L "$1" "/kept$1"; } \
 && for file in $(dpkg --listfiles libc6 libgcc-s1 libstdc++6 | grep -E '\.so(\.[0-9.]+)?$' | grep -v /gconv/); do keep "$file" || exit 1; done \
 && for program in /usr/local/bin/node /usr/bin/sh /usr/bin/cat /usr/bin/env /usr/bin/find /usr/bin/id /usr/bin/ls /usr/bin/sleep; do \
      for file in "$program" $(ldd "$program" | grep -o '/[^ )]*'); do keep "$file" || exit 1; done; \
    done \
 && cp /etc/passwd /etc/group /etc/nsswitch.conf /etc/os-release /kept/etc/ \
 && dpkg-query --status libc6 libgcc-s1 libstdc++6 dash coreutils findutils >/kept/var/lib/dpkg/status \
 # A named volume takes the owner of the folder that it covers.
 && install -d -o node -g node /kept/home/node /kept/cache /kept/data

FROM scratch AS runtime
COPY --from=kept /kept /

FROM runtime
ARG SERVICE
LABEL org.opencontainers.image.title="hearth-${SERVICE}" \
      org.opencontainers.image.description="Hearth, a self-hosted voice stack: the ${SERVICE} service" \
      org.opencontainers.image.licenses="MIT"
ENV PATH=/usr/local/bin:/usr/bin:/bin NODE_ENV=production HF_HOME=/cache HEARTH_HOME=/data
COPY --from=dependencies /app /app
COPY packages/shared /app/packages/shared
COPY packages/hearing /app/packages/hearing
COPY services/${SERVICE} /app/services/${SERVICE}
COPY models/demo /app/models/demo
COPY LICENSE /app/
USER node
WORKDIR /app/services/${SERVICE}
CMD ["node", "src/main.ts"]
