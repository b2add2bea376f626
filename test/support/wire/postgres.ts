/** PostgreSQL's protocol 3.0. */
import { cut, type Message, type Protocol } from './wire.ts'

export const postgresProtocol: Protocol = {
  port: 5432,
  greets: true,

  /** The first message, the start-up, has no type. */
  fromClient(sink) {
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
      return length === undefined ? undefined : [fromTyped(buffer.subarray(0, length)), length]
    }, sink)
  },

  fromServer: (sink) =>
    cut((buffer) => {
      const length = typed(buffer)
      if (length === undefined) return undefined
      const bytes = buffer.subarray(0, length)
      // ReadyForQuery
      return [{ bytes, ready: bytes[0] === 'Z'.charCodeAt(0) }, length]
    }, sink),

  reads: (statement) => /^\s*SELECT/.test(statement),
}

function fromTyped(bytes: Buffer): Message {
  const type = String.fromCharCode(bytes[0] ?? 0)
  const text = bytes.subarray(5)
  if (type === 'Q') return { bytes, statement: string(text, 0) }
  // Parse: the statement's name, then its text
  if (type === 'P') return { bytes, statement: string(text, text.indexOf(0) + 1) }
  return { bytes }
}

/** @returns the whole length of the message that the buffer begins with, undefined while it is not all there */
function typed(buffer: Buffer): number | undefined {
  if (buffer.length < 5) return undefined
  const length = 1 + buffer.readUInt32BE(1)
  return buffer.length < length ? undefined : length
}

const string = (buffer: Buffer, from: number): string =>
  buffer.subarray(from, buffer.indexOf(0, from)).toString('utf8')
