import { type ChildProcess, spawn } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import * as v from 'valibot'
import {
  type ControlPlane,
  type ControlPlaneOptions,
  startControlPlane,
} from '../../sandbox/control-plane/control-plane.ts'
import { controlPlaneProgram } from '../../sandbox/control-plane/program.ts'
import { ask, mintToken } from '../../sandbox/control-plane/request.ts'
import { guarded, startDaemon } from '../../sandbox/machine/daemon.ts'
import { withEnvironment } from '../support/environment.ts'

const folders: string[] = []
const planes: ControlPlane[] = []

async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'control-plane-'))
  folders.push(made)
  return made
}

async function start(directory: string, more: Partial<ControlPlaneOptions> = {}): Promise<ControlPlane> {
  const plane = await startControlPlane({ directory, progress: () => undefined, ...more })
  planes.push(plane)
  return plane
}

let plane: ControlPlane
let directory: string
let auditLog: string

test.before(async (t) => {
  directory = join(await folder(), 'not', 'there yet')
  auditLog = join(await folder(), 'audit.jsonl')
  plane = await start(directory, { auditLog, progress: (line) => t.log(line) })
})

test.after.always(async () => {
  for (const plane of planes) await plane.stop()
  for (const folder of folders) await rm(folder, { recursive: true, force: true })
})

async function create(t: ExecutionContext, path: string, manifest: unknown): Promise<string> {
  const { status, body } = await ask(plane, 'POST', path, manifest)
  t.is(status, 201, body)
  return v.parse(v.object({ metadata: v.object({ uid: v.string() }) }), JSON.parse(body)).metadata.uid
}

async function becomes(status: number, path: string, on = plane): Promise<boolean> {
  for (let tries = 0; tries < 100; tries++) {
    if ((await ask(on, 'GET', path)).status === status) return true
    await sleep(100)
  }
  return false
}

const configMaps = '/api/v1/namespaces/default/configmaps'
const configMap = (name: string, more: object = {}): object => ({
  metadata: { name, ...more },
  data: { a: '1' },
})

test.serial('a ServiceAccount may do what its Role says and nothing else', async (t) => {
  await create(t, '/api/v1/namespaces/default/serviceaccounts', { metadata: { name: 'reader' } })
  const adminToken = await mintToken(plane, 'default', 'reader', 600)
  const reader = { ...plane, adminToken }
  t.is((await ask(reader, 'GET', configMaps)).status, 403)
  const roles = '/apis/rbac.authorization.k8s.io/v1/namespaces/default'
  await create(t, `${roles}/roles`, {
    metadata: { name: 'reader' },
    rules: [{ apiGroups: [''], resources: ['configmaps'], verbs: ['list'] }],
  })
  await create(t, `${roles}/rolebindings`, {
    metadata: { name: 'reader' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'reader' },
    subjects: [{ kind: 'ServiceAccount', name: 'reader', namespace: 'default' }],
  })
  t.true(await becomes(200, configMaps, reader))
  t.is((await ask(reader, 'POST', configMaps, configMap('refused'))).status, 403)
  t.is((await ask({ ...plane, adminToken: 'wrong' }, 'GET', configMaps)).status, 401)
})

test.serial('a token of an unknown ServiceAccount is refused in the words of the API server', async (t) => {
  await t.throwsAsync(mintToken(plane, 'default', 'nobody', 600), {
    message: /default\/nobody: 404 .*not found/,
  })
})

test.serial('what an object owns vanishes with it', async (t) => {
  t.true(plane.collectsGarbage)
  const uid = await create(t, configMaps, configMap('owner'))
  const owned = { ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid }] }
  await create(t, configMaps, configMap('owned', owned))
  t.is((await ask(plane, 'DELETE', `${configMaps}/owner`)).status, 200)
  t.true(await becomes(404, `${configMaps}/owned`))
})

test.serial('a namespace gets its ServiceAccount and takes its content with it', async (t) => {
  await create(t, '/api/v1/namespaces', { metadata: { name: 'short-lived' } })
  t.true(await becomes(200, '/api/v1/namespaces/short-lived/serviceaccounts/default'))
  await create(t, '/api/v1/namespaces/short-lived/configmaps', configMap('content'))
  t.is((await ask(plane, 'DELETE', '/api/v1/namespaces/short-lived')).status, 200)
  t.true(await becomes(404, '/api/v1/namespaces/short-lived'))
})

test.serial('a ValidatingAdmissionPolicy is enforced', async (t) => {
  const policies = '/apis/admissionregistration.k8s.io/v1'
  await create(t, `${policies}/validatingadmissionpolicies`, {
    metadata: { name: 'no-bad-names' },
    spec: {
      failurePolicy: 'Fail',
      matchConstraints: {
        resourceRules: [
          { apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps'], operations: ['CREATE'] },
        ],
      },
      validations: [{ expression: "!object.metadata.name.startsWith('bad')" }],
    },
  })
  await create(t, `${policies}/validatingadmissionpolicybindings`, {
    metadata: { name: 'no-bad-names' },
    spec: { policyName: 'no-bad-names', validationActions: ['Deny'] },
  })
  let refused = false
  for (let tries = 0; tries < 100 && !refused; tries++) {
    const { status, body } = await ask(plane, 'POST', `${configMaps}?dryRun=All`, configMap('bad'))
    refused = status === 422 && body.includes('ValidatingAdmissionPolicy')
    if (!refused) await sleep(100)
  }
  t.true(refused)
})

test.serial(
  'its certificate is good for 127.0.0.1 and localhost, and secrets are for the owner alone',
  async (t) => {
    const certificate = new X509Certificate(await readFile(plane.certificateFile))
    t.is(certificate.checkIP('127.0.0.1'), '127.0.0.1')
    // A control plane from KUBEBUILDER_ASSETS leaves localhost out.
    if (!process.env.KUBEBUILDER_ASSETS) t.is(certificate.checkHost('localhost'), 'localhost')
    t.is((await stat(directory)).mode & 0o777, 0o700)
    for (const file of [plane.kubeconfigFile, plane.keyFile, join(directory, 'admin-token')]) {
      t.is((await stat(file)).mode & 0o777, 0o600, file)
    }
  },
)

test.serial('every request of a ServiceAccount leaves a line in the audit log', async (t) => {
  await create(t, '/api/v1/namespaces/default/serviceaccounts', {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'watched' },
  })
  const adminToken = await mintToken(plane, 'default', 'watched', 600)
  await ask(plane, 'GET', '/api/v1/namespaces/default/secrets/of-the-administrator')
  await ask({ ...plane, adminToken }, 'GET', '/api/v1/namespaces/default/secrets/looked-for')
  let log = ''
  for (let tries = 0; tries < 50 && !log.includes('looked-for'); tries++) {
    log = await readFile(auditLog, 'utf8')
    await sleep(100)
  }
  const line = log.split('\n').find((line) => line.includes('looked-for')) ?? '{}'
  const entry = v.parse(
    v.object({ verb: v.string(), user: v.object({ username: v.string() }) }),
    JSON.parse(line),
  )
  t.deepEqual(entry, { verb: 'get', user: { username: 'system:serviceaccount:default:watched' } })
  t.false(log.includes('of-the-administrator'))
})

test.serial('a second one on the same folder is refused while the first runs', async (t) => {
  await t.throwsAsync(start(directory), { message: /already running on .*: stop it, or use another folder/ })
})

test.serial('data, tokens and keys survive a restart', async (t) => {
  await create(t, configMaps, configMap('kept'))
  const reader = await mintToken(plane, 'default', 'reader', 600)
  const watch = ask(plane, 'GET', `${configMaps}?watch=true`).catch(() => undefined)
  await sleep(200)
  const before = Date.now()
  await plane.stop()
  t.true(Date.now() - before < 5_000, 'ends within seconds')
  t.regex(await plane.exited, /^exit code /, 'of its own accord, though it is watched')
  await watch
  const { adminToken } = plane
  plane = await start(directory, { auditLog })
  t.is(plane.adminToken, adminToken)
  t.is((await ask(plane, 'GET', `${configMaps}/kept`)).status, 200)
  t.is((await ask({ ...plane, adminToken: reader }, 'GET', configMaps)).status, 200)
})

test.serial('a port in use is named', async (t) => {
  const server = createServer()
  const port = await new Promise<number>((resolve, reject) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      if (address === null || typeof address === 'string') reject(new Error('no port'))
      else resolve(address.port)
    })
  })
  t.teardown(() => server.close())
  await t.throwsAsync(start(await folder(), { apiPort: port }), {
    message: new RegExp(`cannot listen on https://127.0.0.1:${port}: another program uses this port`),
  })
})

/** Another process that starts a control plane and then waits to be killed. */
async function startElsewhere(directory: string): Promise<{ parent: ChildProcess; url: string }> {
  const program = `
    import { startControlPlane } from ${JSON.stringify(join(import.meta.dirname, '../../sandbox/control-plane/control-plane.ts'))}
    const plane = await startControlPlane({ directory: ${JSON.stringify(directory)}, progress: () => undefined })
    console.log(plane.url)
    setInterval(() => undefined, 1000)
  `
  const parent = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const url = await new Promise<string>((resolve, reject) => {
    parent.stdout?.setEncoding('utf8').on('data', (line: string) => resolve(line.trim()))
    parent.on('exit', () => reject(new Error('ended early')))
  })
  return { parent, url }
}

test.serial('it ends with its parent even if that is killed, and can be started again at once', async (t) => {
  const directory = await folder()
  const { parent, url } = await startElsewhere(directory)
  const pids = (await readFile(join(directory, 'pids'), 'utf8')).split(' ').map(Number)
  parent.kill('SIGKILL')
  const again = await start(directory)
  t.not(again.url, url)
  for (const pid of pids) t.throws(() => process.kill(pid, 0), { code: 'ESRCH' })
  await again.stop()
})

test.serial('a damaged certificate is replaced', async (t) => {
  const directory = await folder()
  await mkdir(join(directory, 'certificates'))
  await writeFile(join(directory, 'certificates', 'apiserver.crt'), '-----BEGIN CERTI')
  const plane = await start(directory)
  t.truthy(new X509Certificate(await readFile(plane.certificateFile)).subject)
  await plane.stop()
})

test.serial('any program can be made to end with its parent', async (t) => {
  const log = join(await folder(), 'log')
  const daemon = startDaemon(
    guarded('/bin/sh', ['-c', 'trap "" TERM; echo $$; sleep 100 & wait; wait']),
    '/',
    log,
  )
  while ((await readFile(log, 'utf8')) === '') await sleep(20)
  const pid = Number(daemon.lastLines())
  t.true(process.kill(pid, 0))
  await daemon.stop()
  t.throws(() => process.kill(pid, 0), { code: 'ESRCH' })
})

/** A folder with a `go` that notes each of its builds in the file `builds` there. */
async function pretendedGo(build: string): Promise<string> {
  const bin = await folder()
  const script = `#!/bin/sh\n[ "$1" = build ] || exit 0\necho build >> "${bin}/builds"\nout=$6\n${build}\n`
  await writeFile(join(bin, 'go'), script)
  await chmod(join(bin, 'go'), 0o755)
  return bin
}

test.serial('without Go and without a built program it says what to install', async (t) => {
  const empty = await folder()
  await withEnvironment({ PATH: empty, XDG_CACHE_HOME: empty, KUBEBUILDER_ASSETS: '' }, async () => {
    await t.throwsAsync(start(await folder()), {
      message:
        /has to be built once with Go ≥ 1\.\S+, but no Go was found: install Go .*, or set KUBEBUILDER_ASSETS/,
    })
  })
})

test.serial('KUBEBUILDER_ASSETS without its programs is named', async (t) => {
  const empty = await folder()
  await withEnvironment({ KUBEBUILDER_ASSETS: empty }, async () => {
    await t.throwsAsync(start(await folder()), {
      message: /without .*\/etcd: it needs etcd and kube-apiserver/,
    })
  })
})

test.serial('a failed build leaves nothing behind and says why', async (t) => {
  const bin = await pretendedGo('echo half > "$out"; echo "write: no space left on device" >&2; exit 1')
  const cache = await folder()
  const lines: string[] = []
  await withEnvironment({ PATH: `${bin}:${process.env.PATH}`, XDG_CACHE_HOME: cache }, async () => {
    await t.throwsAsync(
      controlPlaneProgram((line) => lines.push(line)),
      { message: /could not be built \(exit code 1\):\nwrite: no space left on device/ },
    )
  })
  t.regex(lines[0] ?? '', /^Building the control plane/)
  t.deepEqual(await readdir(join(cache, 'kubedb-service-broker')), [])
})

test.serial('of two that need the program at once one builds it', async (t) => {
  const bin = await pretendedGo('sleep 1; echo program > "$out"')
  const cache = await folder()
  await withEnvironment({ PATH: `${bin}:${process.env.PATH}`, XDG_CACHE_HOME: cache }, async () => {
    const programs = await Promise.all([1, 2].map(() => controlPlaneProgram(() => undefined)))
    t.is(programs[0], programs[1])
    t.is(await readFile(await controlPlaneProgram(() => undefined), 'utf8'), 'program\n')
  })
  t.is(await readFile(join(bin, 'builds'), 'utf8'), 'build\n')
})
