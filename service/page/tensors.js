/** Little-endian float32 in base64 -> numbers by index. */

export function decoded({ data, shape }) {
  const text = atob(data);
  const bytes = new Uint8Array(text.length);
  for (let n = 0; n < text.length; n++) bytes[n] = text.charCodeAt(n);
  return { shape, values: new Float32Array(bytes.buffer) };
}

/**
 * One layer and direction of the tensors of an answer, by name, timestep of the text and unit of the layer; a value
 * outside of the selection is undefined.
 */
export function createTensors(result) {
  const { timesteps, units } = result.selection;
  const row = new Map(timesteps.map((t, n) => [t, n]));
  const column = new Map(units.map((u, n) => [u, n]));
  const tensors = Object.fromEntries(Object.entries(result.tensors).map(([name, tensor]) => [name, decoded(tensor)]));
  return {
    units,
    names: Object.keys(tensors),
    at: (name, t, u) => tensors[name]?.values[row.get(t) * units.length + column.get(u)],
  };
}

/** A T x T matrix of the window: at(t, s), undefined outside of it and NaN where s has not been read by t. */
export function createMatrix(tensor, timesteps) {
  const { values, shape } = decoded(tensor);
  const row = new Map(timesteps.map((t, n) => [t, n]));
  return { at: (t, s) => values[row.get(t) * shape[1] + row.get(s)] };
}
