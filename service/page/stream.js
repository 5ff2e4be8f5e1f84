/** A text as it is typed, over one WebSocket: only what is new is sent, and a frame comes back for each token. */

/** tell(frames, problem): frames[n] is the answer after n + 1 tokens; a word that is typed on comes again. */
export function createStream(client, tell) {
  let current = null;

  function begin(model, text) {
    close();
    const socket = client.socket(`v1/models/${encodeURIComponent(model)}/stream`);
    const stream = (current = { socket, model, sent: "", frames: [] });
    socket.onopen = () => send(stream, text);
    socket.onmessage = ({ data }) => current === stream && receive(stream, JSON.parse(data));
    socket.onclose = () => current === stream && (current = null);
  }

  function send(stream, text) {
    const added = text.slice(stream.sent.length);
    stream.sent = text;
    if (added) stream.socket.send(JSON.stringify({ text: added }));
  }

  function receive(stream, frame) {
    if (frame.status) return tell(stream.frames, frame); // the problem that ends it
    stream.frames = [...stream.frames.slice(0, frame.timestep - 1), frame.results[0]];
    tell(stream.frames, null);
  }

  function close() {
    const { socket } = current ?? {};
    current = null;
    socket?.close();
  }

  return {
    close,
    /** Goes on where the text goes on; begins anew where it has become another. */
    follow(model, text) {
      if (!text.trim()) return close();
      const goesOn = current?.model === model && text.startsWith(current.sent);
      if (!goesOn) begin(model, text);
      else if (current.socket.readyState === WebSocket.OPEN) send(current, text);
      else current.socket.onopen = () => send(current, text);
    },
  };
}
