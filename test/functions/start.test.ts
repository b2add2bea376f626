import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import test from 'ava'
import * as v from 'valibot'
import { parse } from 'yaml'
import { filesIn } from '../../sandbox/files.ts'
import { freePort } from '../../sandbox/machine/free-port.ts'

const root = join(import.meta.dirname, '../..')
const directory = await mkdtemp(join(tmpdir(), 'start-'))
const files = filesIn(directory)
const running = new Set<ChildProcess>()

test.after.always(async () => {
  for (const child of running) child.kill('SIGKILL')
  await nothingLeft()
  for (const folder of [directory, files.engines])
    await rm(folder, { recursive: true, force: true, maxRetries: 5 })
})

const SandboxFile = v.object({
  url: v.string(),
  username: v.string(),
  password: v.string(),
  kubeconfig: v.string(),
})

interface Ended {
  code: number | null
  stdout: string
  stderr: string
}

/** What `npm start` runs, with all it keeps in a folder of this test. */
function npmStart(args: readonly string[] = [], env: NodeJS.ProcessEnv = {}) {
  // Left by one that was killed.
  rmSync(files.sandbox, { force: true })
  const child = spawn(process.execPath, ['sandbox/start.ts', '--directory', directory, ...args], {
    cwd: root,
    env: { ...process.env, ...env },
  })
  running.add(child)
  const said = { stdout: '', stderr: '' }
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].setEncoding('utf8').on('data', (chunk: string) => {
      said[stream] += chunk
    })
  }
  const ended = new Promise<Ended>((resolve) => {
    child.once('close', (code) => {
      running.delete(child)
      resolve({ code, ...said })
    })
  })
  return {
    child,
    said,
    ended,
    /** @returns what stands in sandbox.json, as soon as it does */
    async ready() {
      while (!existsSync(files.sandbox)) {
        if (child.exitCode !== null) throw new Error(said.stderr)
        await delay(100)
      }
      return v.parse(SandboxFile, JSON.parse(readFileSync(files.sandbox, 'utf8')))
    },
  }
}

/** @returns command lines of the processes that have to do with the folder of this test, AVA's aside */
function leftOvers(): string[] {
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return []
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
      const about = command + readFileSync(`/proc/${pid}/environ`, 'utf8')
      return about.includes(directory) || command.includes(files.engines)
        ? [`${pid} ${command.slice(0, 200)}`]
        : []
    } catch {
      // It has ended meanwhile.
      return []
    }
  })
}

/** @returns what is still there ten seconds later */
async function nothingLeft(): Promise<string[]> {
  for (let i = 0; i < 50 && leftOvers().length > 0; i++) await delay(200)
  return leftOvers()
}

async function osb(
  { url, username, password }: v.InferOutput<typeof SandboxFile>,
  method: string,
  path: string,
  body?: unknown,
) {
  const answer = await fetch(`${url}${path}`, {
    method,
    headers: {
      Authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`,
      'X-Broker-API-Version': '2.17',
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  return { status: answer.status, text: await answer.text() }
}

const wish = {
  service_id: '2010d83f-d908-4d9f-879c-ce8f5f527f2a',
  plan_id: 'c4bcf392-7ebb-4623-a79d-13d00d761d56',
  organization_guid: 'o',
  space_guid: 's',
}

test.serial(
  'npm start serves a broker, keeps its data and password, and ends everything on SIGTERM',
  async (t) => {
    t.timeout(180_000)
    const port = await freePort()
    const first = npmStart([], { PORT: String(port) })
    const sandbox = await first.ready()
    t.is(sandbox.url, `http://127.0.0.1:${port}`)
    t.is(sandbox.username, 'broker')
    t.true(sandbox.password.length >= 20)
    t.is((await osb(sandbox, 'GET', '/v2/catalog')).status, 200)
    t.is((await osb({ ...sandbox, password: 'x' }, 'GET', '/v2/catalog')).status, 401)
    const { clusters } = parse(readFileSync(sandbox.kubeconfig, 'utf8'))
    t.regex(clusters[0].cluster.server, /^https:\/\/127\.0\.0\.1:\d+$/)
    t.is((await osb(sandbox, 'PUT', '/v2/service_instances/kept?accepts_incomplete=true', wish)).status, 202)
    for (;;) {
      const { text } = await osb(sandbox, 'GET', '/v2/service_instances/kept/last_operation')
      if (text.includes('succeeded')) break
      t.regex(text, /in progress/)
      await delay(200)
    }
    const shown = await osb(sandbox, 'GET', '/v2/service_instances/kept')
    t.true(shown.text.includes(`"dashboard_url":"${sandbox.url}/dashboard/instances/kept"`), shown.text)
    // The page is for who signs in with the provider that runs beside it.
    const begun = await fetch(`${sandbox.url}/dashboard/instances/kept`, { redirect: 'manual' })
    t.is(begun.status, 302)
    const form = await fetch(begun.headers.get('location') ?? '', { redirect: 'manual' })
    t.is(form.status, 303)
    first.child.kill('SIGTERM')
    const { code, stdout, stderr } = await first.ended
    t.is(code, 0, stderr)
    t.is(stderr, '')
    t.true(stdout.includes(sandbox.url) && stdout.includes(sandbox.password) && stdout.includes('psql'))
    t.true(stdout.includes(`${sandbox.url}/dashboard/instances/my-db`))
    t.false(existsSync(files.sandbox))
    t.deepEqual(await nothingLeft(), [])

    const second = npmStart([], { PORT: String(port) })
    const again = await second.ready()
    t.is(again.password, sandbox.password)
    t.is((await osb(again, 'GET', '/v2/service_instances/kept')).status, 200)
    second.child.kill('SIGKILL')
    await second.ended
    t.deepEqual(await nothingLeft(), [], 'nothing outlives a sandbox that was killed')

    const third = npmStart(['--reset'], {
      PORT: String(port),
      BROKER_USERNAME: 'me',
      BROKER_PASSWORD: 'mine',
    })
    const fresh = await third.ready()
    t.is(fresh.username, 'me')
    t.is(fresh.password, 'mine')
    t.is((await osb(fresh, 'GET', '/v2/service_instances/kept')).status, 404)

    const rival = await npmStart([], { PORT: String(await freePort()) }).ended
    t.is(rival.code, 1)
    t.regex(rival.stderr, /^another sandbox runs in .*: stop it first\n$/)
    t.is((await osb(fresh, 'GET', '/v2/catalog')).status, 200)
    third.child.kill('SIGINT')
    t.is((await third.ended).code, 0)
    t.deepEqual(await nothingLeft(), [])
  },
)

test.serial('npm start with a port in use says so in one sentence, before anything slow', async (t) => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  const { code, stdout, stderr } = await npmStart([], { PORT: String(port) }).ended
  t.is(code, 1)
  t.is(stdout, '')
  t.regex(stderr, new RegExp(`^Port ${port} is in use: .*\\n$`))
  t.deepEqual(await nothingLeft(), [])
})

for (const [what, args, env, sentence] of [
  ['a port that is none', [], { PORT: 'http' }, /^PORT is http: it must be a number from 1 to 65535\.\n$/],
  [
    'a user name with a colon',
    [],
    { BROKER_USERNAME: 'a:b' },
    /^BROKER_USERNAME must not contain a colon\.\n$/,
  ],
  ['an unknown option', ['--restet'], {}, /^Unknown option '--restet'/],
  ['a cluster that is not there', ['--cluster'], { KUBECONFIG: '/nowhere' }, /nowhere/],
] as const) {
  test.serial(`npm start with ${what} says so and leaves nothing behind`, async (t) => {
    const port = String(await freePort())
    const { code, stderr } = await npmStart(args, { PORT: port, ...env }).ended
    t.is(code, 1)
    t.regex(stderr, sentence)
    t.deepEqual(await nothingLeft(), [])
  })
}

test.serial('SIGINT during the start ends what has been started', async (t) => {
  const start = npmStart([], { PORT: String(await freePort()) })
  while (!start.said.stdout.includes('Starting')) await delay(20)
  start.child.kill('SIGINT')
  t.is((await start.ended).code, 0)
  t.deepEqual(await nothingLeft(), [])
})
