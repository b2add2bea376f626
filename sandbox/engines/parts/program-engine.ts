import type { Account } from '../../machine/account.ts'
import { foundOnce, type Program, type Wanted } from '../programs/debian-program.ts'
import { dataFolders } from './data-folders.ts'
import type { Engine, Instance, Running } from './engine.ts'

/** What differs between engines whose server is one program, which makes its own data. */
interface Make extends Pick<Engine, 'kind' | 'port'> {
  readonly wanted: Wanted
  /** Name of the folder in `home` with a folder for each database. */
  readonly folder: string
  /** Starts a server in the folder of its database and waits until it accepts connections. */
  launch(program: Program, account: Account | undefined, folder: string, instance: Instance): Promise<Running>
}

/**
 * @param home Folder for data; made when absent. When we are root it must be reachable for the user `nobody`.
 */
export function programEngine(home: string, { kind, port, wanted, folder, launch }: Make): Engine {
  const folders = dataFolders(home, folder)
  const program = foundOnce(wanted)
  return {
    kind,
    port,
    async available() {
      const found = await program()
      return 'missing' in found ? found.missing : true
    },
    async start(instance) {
      const found = await program()
      if ('missing' in found) throw new Error(found.missing)
      const account = await folders.account()
      return launch(found, account, await folders.claim(instance, async () => undefined), instance)
    },
    wipe: (name) => folders.wipe(name),
    kept: () => folders.kept(),
  }
}
