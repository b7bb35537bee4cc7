/** A container's health check: 0 when its service lives. */
const { status } = await fetch(`http://127.0.0.1:${process.env.PORT ?? 8080}/healthz`);
process.exit(status === 200 ? 0 : 1);
