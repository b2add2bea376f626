/** Results of a test run. */
export interface Counts {
  passed: number
  failed: number
  skipped: number
}

export interface TapReader {
  /** @returns the line as people read it, or undefined for one that only machines need */
  read(line: string): string | undefined
  /**
   * @param exitCode of the process that wrote the lines
   * @returns what was counted; a run that broke off, or failed without naming a test, counts as a failure
   */
  counts(exitCode: number): Counts
}

/** Reads AVA's TAP line by line. */
export function tapReader(): TapReader {
  const counts = { passed: 0, failed: 0, skipped: 0 }
  let finished = false
  let failures = 0
  return {
    read(line) {
      const [, not, title = '', directive] = /^(not )?ok \d+ - (.*?)(?: # (SKIP|TODO))?$/.exec(line) ?? []
      if (title !== '') {
        if (not) counts.failed += 1
        else if (directive === 'SKIP') counts.skipped += 1
        else counts.passed += 1
        return `${not ? '✘' : directive === 'SKIP' ? '-' : '✔'} ${title}${directive ? ` (${directive})` : ''}`
      }
      const [, kind, number] = /^# (tests|pass|skip|fail) (\d+)$/.exec(line) ?? []
      if (kind === 'fail') failures = Number(number)
      if (/^1\.\.\d+$/.test(line)) finished = true
      // AVA names each hook that ended; what tests log is indented.
      const machines = kind !== undefined || finished || /^(TAP version|# \S)/.test(line)
      if (machines) return undefined
      return line
    },
    counts(exitCode) {
      const failed = Math.max(counts.failed, failures, !finished || exitCode !== 0 ? 1 : 0)
      return { ...counts, failed }
    },
  }
}

/** @returns the line with which every run closes: `N passed, N failed`, and `, N skipped` if any were */
export function summary({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
}
