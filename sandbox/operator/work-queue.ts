/**
 * Runs one handler per key at a time, as long as somebody asks for the key. Asking while it runs
 * makes it run once more; asking ten times before it runs makes it run once.
 */
export interface WorkQueue {
  /** Asks for a key, now or after some milliseconds; a sooner wish replaces a later one. */
  add(key: string, delay?: number): void
  /** Takes no more work and waits for what runs. */
  stop(): Promise<void>
}

/** Answers after how many milliseconds it wants to run again, if at all. */
export type Handler = (key: string) => Promise<number | undefined>

const firstRetry = 100
const longestRetry = 5000

interface Entry {
  timer: NodeJS.Timeout | undefined
  due: number
  running: Promise<void> | undefined
  again: boolean
  failures: number
}

/** @param failed told of every error; the key is tried again after 0.1 s, 0.2 s, … 5 s. */
export function workQueue(handler: Handler, failed: (key: string, error: unknown) => void): WorkQueue {
  const entries = new Map<string, Entry>()
  let stopped = false

  const run = async (key: string, entry: Entry) => {
    entry.again = false
    let next: number | undefined
    try {
      next = await handler(key)
      entry.failures = 0
    } catch (error) {
      next = Math.min(firstRetry * 2 ** entry.failures++, longestRetry)
      if (!stopped) failed(key, error)
    }
    entry.running = undefined
    if (entry.again) add(key)
    else if (next !== undefined) add(key, next)
    else if (entry.timer === undefined) entries.delete(key)
  }

  const add = (key: string, delay = 0) => {
    if (stopped) return
    const entry = entries.get(key) ?? {
      timer: undefined,
      due: 0,
      running: undefined,
      again: false,
      failures: 0,
    }
    entries.set(key, entry)
    if (entry.running) {
      entry.again ||= delay === 0
      return
    }
    const due = Date.now() + delay
    if (entry.timer && entry.due <= due) return
    clearTimeout(entry.timer)
    entry.due = due
    entry.timer = setTimeout(() => {
      entry.timer = undefined
      entry.running = run(key, entry)
    }, delay)
  }

  return {
    add,
    async stop() {
      stopped = true
      for (const entry of entries.values()) clearTimeout(entry.timer)
      await Promise.all([...entries.values()].map((entry) => entry.running))
    },
  }
}
