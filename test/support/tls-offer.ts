import { readFile, writeFile } from 'node:fs/promises'
import type { TestBroker } from './broker.ts'
import type { Offer } from './offers.ts'

/**
 * The catalog with an issuer in a plan, as whoever runs a broker puts it there.
 *
 * @param spec a line of YAML for the plan's spec, such as `sslMode: verify-full`
 */
export async function offerTls(broker: TestBroker, { planId }: Offer, spec?: string): Promise<void> {
  const whole = await readFile(broker.catalogFile, 'utf8')
  const after = (text: string, mark: string, line: string) => {
    const at = text.indexOf(mark, text.indexOf(`id: ${planId}`))
    if (at < 0) throw new Error(`the plan ${planId} is not in the catalog as this test expects it`)
    const end = at + mark.length
    return `${text.slice(0, end)}          ${line}\n${text.slice(end)}`
  }
  const issuer = 'tls: { issuers: { internal: { kind: ClusterIssuer, name: internal-ca } } }'
  const offered = after(whole, '\n        parameters:\n', issuer)
  await writeFile(
    broker.catalogFile,
    spec === undefined ? offered : after(offered, '\n        spec:\n', spec),
  )
}
