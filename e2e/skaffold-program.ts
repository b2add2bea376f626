/**
 * Skaffold itself, built from its Go module at the first use and kept in the user's cache.
 *
 * Usage: `node e2e/skaffold-program.ts` prints the path.
 */
import { goProgram } from '../sandbox/machine/go-program.ts'

const version = 'v2.16.1'

/** @returns the path of the program */
export function skaffoldFile(progress: (line: string) => void): Promise<string> {
  const path = 'github.com/GoogleContainerTools/skaffold/v2'
  return goProgram(
    {
      name: 'skaffold',
      sources: { path, version, sum: 'h1:eMrp2qpn/5j2c1P/JqLo+mxcpEIdtokb/tCY2W/05ic=' },
      package: './cmd/skaffold',
      variables: { [`${path}/pkg/skaffold/version.version`]: version },
      announcement: 'Building Skaffold (a Go module): some minutes, only once.',
      without: '.',
    },
    progress,
  )
}

if (process.argv[1] === import.meta.filename) console.log(await skaffoldFile(console.error))
