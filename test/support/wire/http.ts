/** HTTP/1.1, by which some engines are administered: one request after the other on a connection. */
import { cut, type Message, type Protocol, type Sink } from './wire.ts'

export function httpProtocol(port: number): Protocol {
  return {
    port,
    greets: false,
    fromClient: (sink) =>
      messages(sink, (bytes, head) => {
        const [method = '', path = ''] = head.split(' ')
        return { bytes, statement: `${method} ${path}` }
      }),
    fromServer: (sink) => messages(sink, (bytes) => ({ bytes, ready: true })),
    reads: (statement) => statement.startsWith('GET '),
  }
}

function messages(sink: Sink, make: (bytes: Buffer, head: string) => Message): (data: Buffer) => void {
  return cut((buffer) => {
    const end = buffer.indexOf('\r\n\r\n')
    if (end < 0) return undefined
    const head = buffer.subarray(0, end).toString('latin1')
    const length = whole(buffer, end + 4, head)
    return length === undefined ? undefined : [make(buffer.subarray(0, length), head), length]
  }, sink)
}

/** @returns the length of the message with its body, undefined while it is not all there */
function whole(buffer: Buffer, body: number, head: string): number | undefined {
  if (!/\r\ntransfer-encoding: *chunked/i.test(head)) {
    const length = body + Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0)
    return buffer.length < length ? undefined : length
  }
  for (let at = body; ; ) {
    const line = buffer.indexOf('\r\n', at)
    if (line < 0) return undefined
    const size = Number.parseInt(buffer.subarray(at, line).toString('latin1'), 16)
    // Each chunk, and the empty one at the end, is closed by a line end of its own.
    at = line + 2 + size + 2
    if (buffer.length < at) return undefined
    if (size === 0) return at
  }
}
