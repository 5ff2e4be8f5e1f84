/** Requests to this server. The API key, where one is needed, is held here alone and lives as long as the page. */

export class Problem extends Error {
  constructor(status, body, retryAfterMs) {
    super(body.detail ?? body.error ?? `HTTP ${status}`);
    Object.assign(this, { status, type: body.error_type ?? "unknown", retryAfterMs });
  }
}

export function createClient() {
  let key = "";
  const headers = () => (key ? { "x-api-key": key } : {});

  async function answer(path, options) {
    let response;
    try {
      response = await fetch(path, { ...options, cache: "no-store", credentials: "omit" });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Problem(0, { error_type: "unreachable" });
    }
    const body = await response.json().catch(() => ({}));
    if (response.ok) return body;
    const seconds = Number(response.headers.get("retry-after"));
    throw new Problem(response.status, body, body.retry_after_ms ?? (seconds ? 1000 * seconds : undefined));
  }

  /** Browsers set no headers on a WebSocket: the key is offered as a subprotocol. */
  function socket(path) {
    const address = new URL(path, document.baseURI);
    address.protocol = address.protocol.replace("http", "ws");
    address.hash = "";
    return new WebSocket(address, ["gatescope", ...(key ? [`gatescope.key.${key}`] : [])]);
  }

  return {
    socket,
    setKey: (value) => (key = value.trim()),
    hasKey: () => key !== "",
    get: (path) => answer(path, { headers: headers() }),
    post: (path, body, signal) =>
      answer(path, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers() },
        body: JSON.stringify(body),
        signal,
      }),
  };
}
