/** Whether something else uses the machine, looked at before anything of the benchmark runs. */
import { cpus } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'

/** milliseconds: the kernel counts in hundredths of a second */
const look = 3000

/** Share of all cores that a quiet machine may use for whatever it does beside. */
const quiet = 0.1

/** @returns share of all cores that others use, between 0 and 1, and whether that is too much */
export async function othersOf(): Promise<{ share: number; busy: boolean }> {
  const before = spent()
  await delay(look)
  const after = spent()
  const all = after.all - before.all
  const share = all === 0 ? 0 : 1 - (after.idle - before.idle) / all
  return { share, busy: share > quiet }
}

function spent(): { idle: number; all: number } {
  const times = cpus().map((core) => core.times)
  return {
    idle: times.reduce((sum, { idle }) => sum + idle, 0),
    all: times.flatMap((one) => Object.values(one)).reduce((sum, one) => sum + one, 0),
  }
}
