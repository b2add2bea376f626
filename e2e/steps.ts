/** Claims, one after the other, each counted and said when it has been seen to hold. */
import { setTimeout as delay } from 'node:timers/promises'

export const counts = { passed: 0, failed: 0 }
const begun = performance.now()

/** One line of the report, with the seconds since the start. */
export function say(line: string): void {
  console.log(`${((performance.now() - begun) / 1000).toFixed(1).padStart(6)} s  ${line}`)
}

/** One claim. The rest of the run needs it: a failure ends the run. */
export async function step<T>(claim: string, act: () => Promise<T>): Promise<T> {
  try {
    const result = await act()
    counts.passed += 1
    say(`✔ ${claim}`)
    return result
  } catch (error) {
    counts.failed += 1
    say(`✘ ${claim}: ${error instanceof Error ? error.message : error}`)
    throw error
  }
}

export function check(condition: boolean, sentence: string): asserts condition {
  if (!condition) throw new Error(sentence)
}

/** Mounted Secrets and ConfigMaps change under running functions, within two minutes. */
export async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 150_000; ; await delay(1000)) {
    if (await condition()) return
    check(Date.now() < end, `${what}: not after 150 seconds`)
  }
}
