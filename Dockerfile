# syntax=docker/dockerfile:1

FROM rust:1-slim-bookworm AS build
WORKDIR /src
COPY . .
# The caches are for the next build on the same machine; what is kept of this one is copied out.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --profile dist --bin leadstream \
    && cp target/dist/leadstream /leadstream \
    && mkdir /data

# glibc, certificates and nothing else: no shell, no package manager, a user who is not root.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /leadstream /usr/local/bin/leadstream
COPY --from=build --chown=nonroot:nonroot /data /data

# All that is ever written is in here: run it with --read-only.
VOLUME /data
WORKDIR /data
ENV LEADSTREAM_CONFIG=/etc/leadstream/leadstream.toml
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=5s --start-period=5s --retries=3 \
    CMD ["/usr/local/bin/leadstream", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/leadstream"]
CMD ["run"]
