/** Certificates of a CA that nobody knows, made by openssl. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** PEM */
export interface Certificates {
  ca: string
  otherCa: string
  cert: string
  key: string
}

/** @returns a CA, a certificate of it for `localhost` with its key, and a CA that has nothing to do with it */
export function makeCertificates(): Certificates {
  const folder = mkdtempSync(join(tmpdir(), 'test-tls-'))
  const openssl = (line: string) => execFileSync('openssl', line.split(' '), { cwd: folder, stdio: 'pipe' })
  try {
    for (const name of ['ca', 'other']) {
      openssl(
        `req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=${name} -keyout ${name}.key -out ${name}.crt`,
      )
    }
    openssl('req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr')
    writeFileSync(join(folder, 'names'), 'subjectAltName=DNS:localhost')
    openssl(
      'x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.crt',
    )
    const read = (name: string) => readFileSync(join(folder, name), 'utf8')
    return {
      ca: read('ca.crt'),
      otherCa: read('other.crt'),
      cert: read('server.crt'),
      key: read('server.key'),
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}
