import { type IncomingMessage, request } from 'node:http'

/**
 * Talks with a server while its answer comes: the next part is sent only after the answer's last one came.
 *
 * @param look at the head of the answer
 * @returns the parts of the answer
 */
export async function inDuplex(
  port: number,
  look: (answer: IncomingMessage) => void = () => {},
): Promise<string[]> {
  const parts: string[] = []
  await new Promise<void>((resolve, reject) => {
    const outgoing = request(
      { port, host: '127.0.0.1', method: 'PUT', path: '/v2/service_instances/i', agent: false },
      (response) => {
        look(response)
        response.setEncoding('utf8').on('data', (part: string) => {
          parts.push(part)
          if (parts.length === 1) outgoing.write('one;')
          else outgoing.end()
        })
        response.on('end', resolve)
      },
    )
    outgoing.on('error', reject)
    outgoing.flushHeaders()
  })
  return parts
}
