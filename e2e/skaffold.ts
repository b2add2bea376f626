/**
 * The dev loop by Skaffold itself, on the cluster of KUBECONFIG: a failed deployment, `skaffold dev` with a changed line
 * and Ctrl-C, `run`, `delete`, and `kubectl delete -k`. What must outlive all of that is a database with rows and a
 * binding. Docker builds.
 *
 *     npm run e2e:skaffold -- --default-repo registry.example.com/me
 *
 * --plain                the profile without Knative alone; on Knative it comes last
 * --default-repo REPO    where images are pushed to, as `skaffold dev --default-repo`
 * --connect IP:PORT      of Knative's gateway, where the broker's host name leads nowhere
 * --psql-image IMAGE     has psql; docker.io/library/postgres:17-alpine unless given
 * --network host         what the build's commands run in, where Docker has no bridge
 * --debug-helpers REPO   a registry to which a stand-in for Skaffold's helper of `skaffold debug` is pushed, where its own
 *                        cannot be had
 * --sandbox-operator, --host-address IP   as `npm run e2e`
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import * as v from 'valibot'
import { exampleHost } from '../generate/knative.ts'
import { defaultNamespaces } from '../generate/rbac.ts'
import { nameOf } from '../generate/roles.ts'
import { edgeRouter, routes } from '../shared/routes.ts'
import { hostAddress } from './host-address.ts'
import { get, kubectl } from './kubectl.ts'
import { type Platform, platform } from './platform.ts'
import { psql } from './psql.ts'
import { type SandboxOperator, startSandboxOperator } from './sandbox-operator.ts'
import { skaffoldFile } from './skaffold-program.ts'
import { check, counts, say, step } from './steps.ts'

const root = join(import.meta.dirname, '..')
const { broker, databases } = defaultNamespaces
const { values } = parseArgs({
  options: {
    'default-repo': { type: 'string' },
    plain: { type: 'boolean', default: false },
    connect: { type: 'string' },
    'psql-image': { type: 'string', default: 'docker.io/library/postgres:17-alpine' },
    network: { type: 'string' },
    'debug-helpers': { type: 'string' },
    'sandbox-operator': { type: 'boolean', default: false },
    'host-address': { type: 'string' },
  },
})
const program = await skaffoldFile(say)
const directory = await mkdtemp(join(tmpdir(), 'kubedb-service-broker-skaffold-'))
/** A copy of the checkout: a line of it is changed. */
const checkout = join(directory, 'checkout')

interface Run {
  child: ChildProcess
  /** all that it has printed */
  output: () => string
  /** resolves to its exit code */
  ended: Promise<number>
}

function start(...args: string[]): Run {
  const repository = values['default-repo']
  const more = repository === undefined ? [] : ['--default-repo', repository]
  const child = spawn(program, [...args, ...more], {
    cwd: checkout,
    // Its own settings and its cache of builds are not those of whoever runs this.
    env: {
      ...process.env,
      // Nor are their helpers for registries, which are slow to say no.
      DOCKER_CONFIG: directory,
      SKAFFOLD_CONFIG: join(directory, 'skaffold-config'),
      SKAFFOLD_CACHE_FILE: join(directory, 'skaffold-cache'),
      SKAFFOLD_UPDATE_CHECK: 'false',
      SKAFFOLD_INTERACTIVE: 'false',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let printed = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (part: string) => {
      printed += part
    })
  const ended = once(child, 'close').then(([code]) => Number(code ?? 1))
  return { child, output: () => printed, ended }
}

async function skaffold(...args: string[]): Promise<string> {
  const run = start(...args)
  const code = await run.ended
  check(code === 0, `skaffold ${args[0]} ends with ${code}:\n${last(run)}`)
  return run.output()
}

/** @returns the end of what it has printed, without the long list of what it took away */
function last(run: Run): string {
  const lines = run.output().split('\n')
  return lines
    .filter((line) => !/^ - .* deleted\b/.test(line))
    .join('\n')
    .slice(-2500)
}

async function printed(run: Run, what: RegExp, seconds = 240): Promise<RegExpExecArray> {
  for (const end = Date.now() + seconds * 1000; ; await delay(100)) {
    const found = what.exec(run.output())
    if (found !== null) return found
    check(run.child.exitCode === null, `it has ended:\n${last(run)}`)
    check(Date.now() < end, `no ${what} within ${seconds} s:\n${last(run)}`)
  }
}

async function copyCheckout(): Promise<void> {
  const listed = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
  })
  const files = listed.split('\n').filter((name) => name !== '' && !/^(test|bench|docs)\//.test(name))
  for (const name of files) await cp(join(root, name), join(checkout, name))
  await symlink(join(root, 'node_modules'), join(checkout, 'node_modules'))
  if (values.network === undefined) return
  const file = join(checkout, 'skaffold.yaml')
  const text = await readFile(file, 'utf8')
  await writeFile(file, text.replace(/^( +)target: development$/m, `$&\n$1network: ${values.network}`))
}

const Secret = v.object({ data: v.record(v.string(), v.string()) })

async function brokerAt(url: string, host?: string): Promise<Platform> {
  const { data } = await get(Secret, ['secret', 'osb-users', '-n', broker])
  const text = Buffer.from(data['users.json'] ?? '', 'base64').toString('utf8')
  const [user] = v.parse(v.array(v.object({ username: v.string(), password: v.string() })), JSON.parse(text))
  if (user === undefined) throw new Error('osb-users has no user')
  return platform(url, user.username, user.password, host)
}

/** @returns the way in by Knative's gateway */
async function throughKnative(): Promise<Platform> {
  return values.connect === undefined
    ? brokerAt(`http://${exampleHost}`)
    : brokerAt(`http://${values.connect}`, exampleHost)
}

/** @returns the way in by the node port of the edge router */
async function throughNodePort(): Promise<Platform> {
  const port = await kubectl([
    'get',
    'service',
    `osb-${edgeRouter}`,
    '-n',
    broker,
    '-o',
    'jsonpath={.spec.ports[0].nodePort}',
  ])
  const node = await kubectl([
    'get',
    'nodes',
    '-o',
    'jsonpath={.items[0].status.addresses[?(@.type=="InternalIP")].address}',
  ])
  return brokerAt(`http://${node}:${port}`)
}

const service = '2010d83f-d908-4d9f-879c-ce8f5f527f2a'
const plan = '252027a9-3bde-4afa-a251-4457ef08594e'
const instance = 'service_instances/skaffold'
const binding = `${instance}/service_bindings/one`
const Credentials = v.object({ uri: v.string() })

async function makeDatabase(cf: Platform): Promise<string> {
  const wish = { service_id: service, plan_id: plan }
  const made = await cf.expect(202, 'PUT', `${instance}?accepts_incomplete=true`, {
    ...wish,
    organization_guid: 'e2e',
    space_guid: 'e2e',
  })
  const { body } = await cf.settle(instance, made.body.operation)
  check(body.state === 'succeeded', JSON.stringify(body))
  let bound = await cf.ask('PUT', `${binding}?accepts_incomplete=true`, wish)
  if (bound.status === 202) {
    await cf.settle(binding, bound.body.operation)
    bound = await cf.expect(200, 'PUT', binding, wish)
  }
  const { uri } = v.parse(Credentials, bound.body.credentials)
  await psql(values['psql-image'], uri, "create table notes (line text); insert into notes values ('kept')")
  return uri
}

/** The broker of now knows the binding, and its credentials lead to the row. */
async function stillThere(cf: Platform, uri: string): Promise<void> {
  const { body } = await cf.expect(200, 'GET', binding)
  check(v.parse(Credentials, body.credentials).uri === uri, 'the credentials have changed')
  check((await psql(values['psql-image'], uri, 'select line from notes')) === 'kept', 'the row is gone')
}

const Named = v.object({
  items: v.array(v.object({ kind: v.string(), metadata: v.object({ name: v.string() }) })),
})

/** Nothing of the broker runs; everything that somebody may miss is there. */
async function onlyTheBrokerIsGone(uri: string): Promise<void> {
  const { items } = await get(Named, ['services,deployments,serviceaccounts', '-n', broker])
  const left = items.filter(({ metadata }) => metadata.name.startsWith('osb-'))
  check(left.length === 0, `left: ${left.map(({ kind, metadata }) => `${kind} ${metadata.name}`).join(', ')}`)
  const kept = await get(Named, ['secrets,appbindings.appcatalog.appscode.com', '-n', broker])
  const names = kept.items.map(({ metadata }) => metadata.name)
  for (const name of ['osb-users', 'osb-keys']) check(names.includes(name), `the Secret ${name} is gone`)
  for (const name of ['osb-i-', 'osb-b-'])
    check(
      names.some((one) => one.startsWith(name)),
      `the record ${name}… is gone`,
    )
  check((await psql(values['psql-image'], uri, 'select line from notes')) === 'kept', 'the row is gone')
}

const Generations = v.object({
  items: v.array(v.object({ metadata: v.object({ name: v.string(), generation: v.number() }) })),
})

async function generations(): Promise<string> {
  const { items } = await get(Generations, ['services.serving.knative.dev', '-n', broker])
  check(items.length === routes.length + 1, `${items.length} Knative Services`)
  return items.map(({ metadata }) => `${metadata.name} ${metadata.generation}`).join()
}

/** A member that the changed line adds. */
async function changed(url: string): Promise<boolean> {
  const cf = await brokerAt(url)
  return (await cf.ask('GET', 'catalog')).body.changed === true
}

const Built = v.object({ builds: v.tuple([v.object({ imageName: v.string(), tag: v.string() })]) })

/** @param profile arguments of Skaffold that name it */
async function commands(profile: readonly string[], failed: RegExp): Promise<void> {
  const built = join(directory, 'built.json')
  await step('skaffold build: the image for development, by Docker', async () => {
    await skaffold('build', ...profile, '--file-output', built)
  })
  const {
    builds: [{ imageName, tag }],
  } = v.parse(Built, JSON.parse(await readFile(built, 'utf8')))
  await step('skaffold render: eleven containers of that image, and nothing that must stay', async () => {
    const manifests = await skaffold('render', ...profile, '--build-artifacts', built)
    check(manifests.split(`image: ${tag}`).length === routes.length + 2, 'not eleven images')
    check(!/^kind: (Namespace|Secret)$/m.test(manifests), 'what must stay would be deleted')
  })
  await step('skaffold deploy of an image that is nowhere fails, and says why', async () => {
    const nowhere = join(directory, 'nowhere.json')
    const none = `${tag.replace(/[:@][^/]*$/, '')}:none`
    await writeFile(nowhere, JSON.stringify({ builds: [{ imageName, tag: none }] }))
    const run = start('deploy', ...profile, '--build-artifacts', nowhere)
    check((await run.ended) !== 0, 'it ends with 0')
    check(failed.test(run.output()), run.output())
    for (const line of ['Made the Secret osb-users', 'Made the Secret osb-keys'])
      check(run.output().includes(line), `${line}: not said`)
  })
}

/** @returns the URI of a binding to the database that is made meanwhile */
async function develop(profile: readonly string[], service: string): Promise<string> {
  const dev = start('dev', ...profile)
  try {
    const [, url = ''] = await step(
      'skaffold dev deploys, forwards a port and says how the broker is used',
      async () => {
        await printed(dev, /osb GET catalog/)
        for (const name of [...routes.map(nameOf), `osb-${edgeRouter}`])
          check(new RegExp(`${name} is ready`).test(dev.output()), `${name}: not said`)
        return printed(dev, new RegExp(`${service} .* -> (http://127\\.0\\.0\\.1:\\d+)`))
      },
    )
    const uri = await step('through it a database is made', async () => makeDatabase(await brokerAt(url)))
    await step('a changed line answers', () => changeLine(dev, url))
    await step('its log says which function said what', async () => {
      await printed(dev, /^\[bind\] ?\{"time":.*"function":"bind"/m, 20)
      await printed(dev, /^\[catalog\] ?\{"time":.*"function":"catalog"/m, 20)
    })
    await step('Ctrl-C takes the broker away, and nothing else', async () => {
      dev.child.kill('SIGINT')
      await dev.ended
      await onlyTheBrokerIsGone(uri)
    })
    return uri
  } finally {
    dev.child.kill('SIGINT')
  }
}

async function changeLine(dev: Run, url: string): Promise<void> {
  const file = join(checkout, 'functions/catalog.ts')
  const text = await readFile(file, 'utf8')
  const line = text.replace(
    'return c.body(body, 200',
    "return c.body(body.replace('{', '{\"changed\":true,'), 200",
  )
  check(line !== text, 'catalog.ts has no such line')
  const before = dev.output().length
  const begun = performance.now()
  const since = () => `${((performance.now() - begun) / 1000).toFixed(1)} s`
  await writeFile(file, line)
  let built = ''
  for (const end = Date.now() + 240_000; !(await changed(url).catch(() => false)); await delay(100)) {
    const news = dev.output().slice(before)
    if (built === '' && news.includes('Starting pre-deploy hooks')) built = since()
    check(dev.child.exitCode === null && Date.now() < end, news.slice(-4000))
  }
  say(
    `  the image was built and pushed ${built} after the line was saved, the new answer came after ${since()}`,
  )
}

async function claimsOnKnative(): Promise<void> {
  await commands([], /Service osb-[\w-]+ is not ready: Revision(Missing|Failed) .*none/)
  const keys = (await get(Secret, ['secret', 'osb-keys', '-n', broker])).data
  const uri = await develop([], 'osb-development')
  await step('skaffold run: the broker finds instance, binding and row', async () => {
    const output = await skaffold('run')
    check(!output.includes('Made the Secret'), 'it has made a Secret anew')
    const now = (await get(Secret, ['secret', 'osb-keys', '-n', broker])).data
    check(JSON.stringify(now) === JSON.stringify(keys), 'osb-keys has changed')
    await stillThere(await throughKnative(), uri)
  })
  await step('skaffold run once more makes no new revision', async () => {
    const before = await generations()
    await skaffold('run')
    check((await generations()) === before, 'a generation is new')
  })
  await step('skaffold delete takes the broker away, and nothing else', async () => {
    await skaffold('delete')
    await onlyTheBrokerIsGone(uri)
  })
  await moveToPlain(uri)
}

/**
 * Skaffold copies a wrapper of Node into each pod with this image, for images that start Node through a shell. Ours
 * names Node itself, and needs none of it: the stand-in does nothing.
 */
async function standInForDebugHelper(repository: string, image: string): Promise<void> {
  const name = `${repository}/nodejs`
  const docker = (args: readonly string[], input?: string) =>
    execFileSync('docker', args, { input, stdio: ['pipe', 'pipe', 'pipe'] })
  docker(['build', '-t', name, '-'], `FROM ${image}\nENTRYPOINT ["/usr/bin/node", "-e", "0"]\nCMD []\n`)
  docker(['push', name])
  await writeFile(
    join(directory, 'skaffold-config'),
    `global: { debug-helpers-registry: ${repository}, survey: { disable-prompt: true } }\n`,
  )
}

const Evaluated = v.object({ result: v.object({ result: v.object({ value: v.string() }) }) })

/** @returns what the process says, whose inspector is at an address */
async function evaluate(address: string, expression: string): Promise<string> {
  const list = v.parse(
    v.tupleWithRest([v.object({ webSocketDebuggerUrl: v.string() })], v.unknown()),
    await (await fetch(`${address}/json/list`)).json(),
  )
  const socket = new WebSocket(list[0].webSocketDebuggerUrl)
  try {
    await once(socket, 'open')
    socket.send(JSON.stringify({ id: 1, method: 'Runtime.evaluate', params: { expression } }))
    const [{ data }] = v.parse(v.tuple([v.object({ data: v.string() })]), await once(socket, 'message'))
    return v.parse(Evaluated, JSON.parse(data)).result.result.value
  } finally {
    socket.close()
  }
}

async function debug(): Promise<void> {
  const run = start('debug', '-p', 'plain', '--port-forward=debug,user')
  try {
    await step("skaffold debug: Node's inspector of every function answers on this machine", async () => {
      await printed(run, /osb GET catalog/)
      for (const name of routes.map(nameOf)) {
        const [, address = ''] = await printed(
          run,
          new RegExp(`pod/${name}-[\\w-]+ .*remote port 9229 -> (http://127\\.0\\.0\\.1:\\d+)`),
          60,
        )
        const is = await evaluate(address, 'process.argv[1]')
        check(name.endsWith(is.slice(is.lastIndexOf('/') + 1)), `${name} runs ${is}`)
      }
    })
  } finally {
    run.child.kill('SIGINT')
    await run.ended
  }
}

async function claimsWithoutKnative(): Promise<void> {
  await commands(
    ['-p', 'plain'],
    /Deployment osb-[\w-]+ is not ready: (ErrImagePull|ImagePullBackOff) .*none/,
  )
  const uri = await develop(['-p', 'plain'], `osb-${edgeRouter}`)
  await step('skaffold run -p plain: the broker finds instance, binding and row', async () => {
    await skaffold('run', '-p', 'plain')
    await stillThere(await throughNodePort(), uri)
  })
  const built = join(directory, 'now.json')
  await skaffold('build', '-p', 'plain', '--file-output', built)
  await step(
    'skaffold verify -p plain: a pod beside the broker leads an instance through its life',
    async () => {
      const output = await skaffold('verify', '-p', 'plain', '--build-artifacts', built)
      check(/deprovision leaves nothing.*5 passed, 0 failed/s.test(output), output.slice(-4000))
    },
  )
  await step('skaffold delete -p plain takes the broker away, and nothing else', async () => {
    await skaffold('delete', '-p', 'plain')
    await onlyTheBrokerIsGone(uri)
  })
  const helpers = values['debug-helpers']
  if (helpers !== undefined) {
    const {
      builds: [{ tag }],
    } = v.parse(Built, JSON.parse(await readFile(built, 'utf8')))
    await standInForDebugHelper(helpers, tag)
  }
  await debug()
}

/** What was made on Knative is found without it, and outlives `kubectl delete -k` too. */
async function moveToPlain(uri: string): Promise<void> {
  await step('skaffold run -p plain: without Knative, the same instance, binding and row', async () => {
    await skaffold('run', '-p', 'plain')
    const cf = await throughNodePort()
    await stillThere(cf, uri)
  })
  await step('kubectl delete -k takes the broker away, and nothing else', async () => {
    await kubectl(['delete', '-k', join(root, 'knative/plain')])
    await onlyTheBrokerIsGone(uri)
  })
}

let operator: SandboxOperator | undefined
try {
  await copyCheckout()
  if (values['sandbox-operator']) {
    const address = await hostAddress(values['host-address'])
    operator = await step("the sandbox's operator serves this cluster", () =>
      startSandboxOperator(directory, address, (line) => say(`  ${line}`)),
    )
  }
  await (values.plain ? claimsWithoutKnative() : claimsOnKnative())
} catch (error) {
  if (counts.failed === 0) {
    counts.failed += 1
    console.error(error)
  }
  for (const args of [
    ['get', 'pods', '-A', '-o', 'wide'],
    ['get', 'events', '-n', broker, '--sort-by=.lastTimestamp'],
  ])
    console.error(await kubectl(args).catch((failure: Error) => failure.message))
} finally {
  await kubectl(['delete', '-k', join(root, 'knative/development'), '--ignore-not-found']).catch(
    () => undefined,
  )
  await kubectl(['delete', 'namespaces', broker, databases, '--ignore-not-found', '--timeout', '120s']).catch(
    say,
  )
  await operator?.stop().catch((error) => say(`the operator did not end in order: ${error}`))
  await rm(directory, { recursive: true, force: true })
}
console.log(`\n${counts.passed} passed, ${counts.failed} failed`)
process.exit(counts.failed > 0 ? 1 : 0)
