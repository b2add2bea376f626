/** Server programs out of Debian packages: fetched once, whoever asks at the same time, and usable by the engines. */
import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import test from 'ava'
import {
  debianProgram,
  installedProgram,
  unpackedProgram,
  type Wanted,
} from '../../sandbox/engines/programs/debian-program.ts'
import { engineAccount } from '../../sandbox/machine/account.ts'
import { withEnvironment } from '../support/environment.ts'

const execute = promisify(execFile)

const memcached: Wanted = { programs: ['memcached'], packages: ['memcached'] }
const redis: Wanted = { programs: ['redis-server'], packages: ['redis-server'] }
const mariadb: Wanted = { programs: ['mariadbd'], packages: ['mariadb-server-core'] }

async function makeCache(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'debian-program-'))
  await chmod(folder, 0o755)
  return folder
}

/** @returns what the program says to `--version`, run as the engines run it */
async function version(wanted: Wanted, cache: string): Promise<string> {
  const found = await unpackedProgram(wanted, cache)
  if ('missing' in found) throw new Error(found.missing)
  const { stdout } = await execute(found.program, ['--version'], {
    cwd: '/',
    env: { LD_LIBRARY_PATH: found.libraries },
    ...(await engineAccount()),
  })
  return stdout
}

test.serial('the servers of three packages run from where they were unpacked', async (t) => {
  const cache = await makeCache()
  t.regex(await version(memcached, cache), /^memcached \d/)
  t.regex(await version(redis, cache), /^Redis server v=\d/)
  t.regex(await version(mariadb, cache), /mariadbd +Ver \d.*MariaDB/)
  await rm(cache, { recursive: true })
})

test.serial('those who ask at once get the same program, and a later one asks nobody', async (t) => {
  const cache = await makeCache()
  const answers = await Promise.all(Array.from({ length: 4 }, () => unpackedProgram(memcached, cache)))
  for (const answer of answers) t.deepEqual(answer, answers[0])
  t.is((await readdir(cache)).length, 1)
  await withEnvironment({ APT_CONFIG: '/nowhere', PATH: '' }, async () => {
    t.deepEqual(await unpackedProgram(memcached, cache), answers[0])
  })
  await rm(cache, { recursive: true })
})

test.serial('another list of packages is unpacked anew', async (t) => {
  const cache = await makeCache()
  const first = await unpackedProgram(memcached, cache)
  const second = await unpackedProgram({ ...memcached, packages: ['memcached', 'mysql-common'] }, cache)
  if ('missing' in first || 'missing' in second) return t.fail(JSON.stringify([first, second]))
  t.not(first.root, second.root)
  await rm(cache, { recursive: true })
})

test.serial(
  'without lists of packages, without apt, and for wrong names it is said what to do',
  async (t) => {
    const cache = await makeCache()
    const lists = join(cache, 'lists')
    await mkdir(lists)
    const configuration = join(cache, 'apt.conf')
    await writeFile(
      configuration,
      `Dir::State::lists "${lists}"; Dir::Cache::pkgcache ""; Dir::Cache::srcpkgcache "";`,
    )
    const missing = async () => {
      const found = await unpackedProgram(redis, cache)
      return 'missing' in found ? found.missing : found.program
    }
    await withEnvironment({ APT_CONFIG: configuration }, async () => {
      t.is(
        await missing(),
        'redis-server is not on PATH, and apt does not know its Debian package: run "apt-get update" as root and ' +
          'try again, or install the package redis-server',
      )
    })
    await withEnvironment({ PATH: cache }, async () => {
      t.regex(
        await missing(),
        /has no apt-get to fetch its Debian package with: install the package redis-server$/,
      )
    })
    const misnamed = await unpackedProgram({ ...memcached, programs: ['memcache'] }, cache)
    t.deepEqual(misnamed, { missing: 'memcache is not in the Debian packages memcached: install it' })
    t.deepEqual(
      (await readdir(cache)).filter((name) => name.startsWith('.')),
      [],
    )
    await rm(cache, { recursive: true })
  },
)

test.serial('a program on PATH comes first, and a folder or a plain file is none', async (t) => {
  const cache = await makeCache()
  const folders = ['folder', 'plain', 'program'].map((name) => join(cache, name))
  for (const folder of folders) await mkdir(folder)
  const [folder = '', plain = '', program = ''] = folders
  await mkdir(join(folder, 'some-server'))
  await writeFile(join(plain, 'some-server'), '', { mode: 0o644 })
  const wanted: Wanted = { programs: ['another-server', 'some-server'], packages: ['memcached'] }
  await withEnvironment({ PATH: `${folder}::${plain}` }, async () => {
    t.is(await installedProgram(wanted), undefined)
  })
  await writeFile(join(program, 'some-server'), '', { mode: 0o755 })
  await withEnvironment({ PATH: `${folder}:${plain}:${program}` }, async () => {
    const found = {
      program: join(program, 'some-server'),
      command: [join(program, 'some-server')] as const,
      root: '/',
      libraries: '',
    }
    t.deepEqual(await debianProgram(wanted, cache), found)
  })
  await rm(cache, { recursive: true })
})

test.serial('a cache in which others can write is not trusted', async (t) => {
  const cache = await makeCache()
  await chmod(cache, 0o777)
  const found = await unpackedProgram(memcached, cache)
  t.regex('missing' in found ? found.missing : '', /others can write to it: remove it/)
  t.deepEqual(await readdir(cache), [])
  await rm(cache, { recursive: true })
})
