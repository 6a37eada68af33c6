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
COPY services/${SERVICE}/package.json services/${SERVICE}/
# CI: no questions. ONNXRUNTIME_NODE_INSTALL: no CUDA download. The version is that of scripts/bootstrap.mjs; a test compares them.
ENV CI=true ONNXRUNTIME_NODE_INSTALL=skip
RUN --mount=type=cache,target=/root/.npm --mount=type=cache,target=/pnpm-store \
    npx -y pnpm@12.21.0 install --prod --frozen-lockfile --store-dir /pnpm-store --filter "@hearth/${SERVICE}..."
# onnxruntime-node brings every platform's library; this one needs its own. Source maps are for debuggers, and TypeScript among the
# dependencies is for compilers: Node runs none from there.
RUN find node_modules -path '*/onnxruntime-node/bin/napi-v*/*/*' -prune -type d ! -path "*/linux/$(node -p process.arch)" -exec rm -rf {} + \
 && find node_modules -type f \( -name '*.map' -o -name '*.ts' -o -name '*.cts' -o -name '*.mts' -o -name '*.md' \) -delete

# The base without what only builds need (npm, headers, apt, Perl) and without rights to change the user. One layer, the same for all services.
FROM base AS trimmed
RUN rm -rf /usr/local/include /usr/local/lib/node_modules /opt/yarn* /usr/bin/apt* /usr/lib/apt /usr/bin/perl* /usr/lib/*/perl-base /usr/lib/*/gconv \
 && find /usr/local/bin -type l ! -name nodejs -delete \
 && find / -xdev -type f -perm /6000 -exec chmod a-s {} + \
 && install -d -o node -g node /cache /data
# A named volume takes the owner of the folder that it covers: node's.

FROM scratch AS runtime
COPY --from=trimmed / /

FROM runtime
ARG SERVICE
LABEL org.opencontainers.image.title="hearth-${SERVICE}" \
      org.opencontainers.image.description="Hearth, a self-hosted voice stack: the ${SERVICE} service" \
      org.opencontainers.image.licenses="MIT"
ENV PATH=/usr/local/bin:/usr/bin:/bin NODE_ENV=production HF_HOME=/cache HEARTH_HOME=/data
COPY --from=dependencies /app /app
COPY packages/shared /app/packages/shared
COPY services/${SERVICE} /app/services/${SERVICE}
COPY models/demo /app/models/demo
COPY LICENSE /app/
USER node
WORKDIR /app/services/${SERVICE}
CMD ["node", "src/main.ts"]
