/** Cuts the two directions of a PostgreSQL connection into messages (protocol 3.0). */

export interface Message {
  bytes: Buffer
  /** the text, where the message begins a statement */
  statement?: string
  /** ReadyForQuery: the server has answered whole */
  ready?: boolean
}

type Sink = (message: Message) => void

/** @returns takes what a client sends; its first message, the start-up, has no type */
export function frontendMessages(sink: Sink): (data: Buffer) => void {
  let started = false
  return cut((buffer) => {
    if (!started) {
      if (buffer.length < 4) return undefined
      const length = buffer.readUInt32BE(0)
      if (buffer.length < length) return undefined
      started = true
      return [{ bytes: buffer.subarray(0, length) }, length]
    }
    const length = typed(buffer)
    if (length === undefined) return undefined
    const bytes = buffer.subarray(0, length)
    const type = String.fromCharCode(bytes[0] ?? 0)
    const text = bytes.subarray(5)
    if (type === 'Q') return [{ bytes, statement: string(text, 0) }, length]
    // Parse: the statement's name, then its text
    if (type === 'P') return [{ bytes, statement: string(text, text.indexOf(0) + 1) }, length]
    return [{ bytes }, length]
  }, sink)
}

/** @returns takes what a server sends */
export function backendMessages(sink: Sink): (data: Buffer) => void {
  return cut((buffer) => {
    const length = typed(buffer)
    if (length === undefined) return undefined
    const bytes = buffer.subarray(0, length)
    return [{ bytes, ready: bytes[0] === 'Z'.charCodeAt(0) }, length]
  }, sink)
}

/** @returns the whole length of the message that the buffer begins with, undefined while it is not all there */
function typed(buffer: Buffer): number | undefined {
  if (buffer.length < 5) return undefined
  const length = 1 + buffer.readUInt32BE(1)
  return buffer.length < length ? undefined : length
}

const string = (buffer: Buffer, from: number): string =>
  buffer.subarray(from, buffer.indexOf(0, from)).toString('utf8')

function cut(next: (buffer: Buffer) => [Message, number] | undefined, sink: Sink): (data: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0)
  return (data) => {
    rest = rest.length === 0 ? data : Buffer.concat([rest, data])
    for (let found = next(rest); found; found = next(rest)) {
      const [message, length] = found
      rest = rest.subarray(length)
      sink(message)
    }
  }
}
