/** Makes an engine out of what differs between the makes of server. */
import type { Account } from '../../machine/account.ts'
import { once } from '../../machine/once.ts'
import { debianProgram, type Program, type Wanted } from '../programs/debian-program.ts'
import { dataFolders } from './data-folders.ts'
import type { Engine, Instance, Running } from './engine.ts'

interface Make<Installed> extends Pick<Engine, 'kind' | 'port' | 'available'> {
  /** Name of the folder in `home` with a folder for each database. */
  readonly folder: string
  /** Gets what its servers need, once. Throws the sentence that says what is missing. */
  install(account: Account | undefined): Promise<Installed>
  /** Fills the folder of a new database; absent where the server does so itself. */
  fill?(installed: Installed, account: Account | undefined, folder: string, instance: Instance): Promise<void>
  /** Starts a server in the folder of its database and waits until it accepts connections. */
  launch(
    installed: Installed,
    account: Account | undefined,
    folder: string,
    instance: Instance,
  ): Promise<Running>
}

/**
 * @param home Folder for programs and data; made when absent. When we are root it must be reachable for the user
 *   `nobody`.
 */
export function engineOf<Installed>(home: string, make: Make<Installed>): Engine {
  const { kind, port, folder, available, install, fill, launch } = make
  const folders = dataFolders(home, folder)
  const installation = once(async () => install(await folders.account()))
  return {
    kind,
    port,
    available,
    async start(instance) {
      const installed = await installation()
      const account = await folders.account()
      const place = await folders.claim(instance, async (fresh) =>
        fill?.(installed, account, fresh, instance),
      )
      return launch(installed, account, place, instance)
    },
    wipe: (name) => folders.wipe(name),
    kept: () => folders.kept(),
  }
}

/** An engine whose server is one program of Debian's, which makes its own data. */
export function programEngine(
  home: string,
  { wanted, ...make }: Omit<Make<Program>, 'available' | 'install' | 'fill'> & { readonly wanted: Wanted },
): Engine {
  const program = once(async () => {
    const found = await debianProgram(wanted)
    if ('missing' in found) throw new Missing(found.missing)
    return found
  })
  return engineOf(home, {
    ...make,
    async available() {
      try {
        await program()
        return true
      } catch (error) {
        if (error instanceof Missing) return error.message
        throw error
      }
    },
    install: program,
  })
}

/** There is no such program: says what to install. */
class Missing extends Error {}
