import type { Server } from 'node:http'
import { log } from '../environment/log.ts'

/**
 * Takes no more requests, finishes those that run, and ends the process.
 *
 * @param budget seconds within which every request ends; what does not is abandoned
 * @param last done before the end
 */
export function endInOrder(server: Server, budget: number, last?: () => Promise<void>): void {
  const late = setTimeout(
    () => {
      log('error', 'requests still running after their budget')
      process.exit(1)
    },
    (budget + 5) * 1000,
  )
  // A connection that becomes idle after close() would stay open for the keep-alive time.
  const idle = setInterval(() => server.closeIdleConnections(), 20)
  server.close(async () => {
    clearTimeout(late)
    clearInterval(idle)
    await last?.()
    process.exit(0)
  })
}
