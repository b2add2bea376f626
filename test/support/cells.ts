/**
 * Cells of the specification's tables as they are written there: `202 same op`, `422 ConcurrencyError`, `410 {}`,
 * `in progress`. A status; then the error's code, the body, or `same op`: the operation that began it all. A state of
 * last_operation stands for 200 with that state.
 */
import type { ExecutionContext } from 'ava'
import type { OsbAnswer } from './broker.ts'
import { at } from './cluster.ts'

const states = ['in progress', 'succeeded', 'failed']

/**
 * Asserts that an answer is what a cell says.
 *
 * @param operation that of `same op`
 * @param request for the message of a failure
 */
export function isCell(
  t: ExecutionContext,
  answer: OsbAnswer,
  cell: string,
  operation: string | undefined,
  request: string,
): void {
  const all = `${request}: ${cell}, not ${answer.status} ${answer.text}`
  if (states.includes(cell)) {
    t.is(answer.status, 200, all)
    t.is(at(answer.body, 'state'), cell, all)
    return
  }
  const [status, ...rest] = cell.split(' ')
  t.is(answer.status, Number(status), all)
  const more = rest.join(' ')
  if (more === 'same op') t.is(at(answer.body, 'operation'), operation, all)
  else if (more === '{}') t.is(answer.text, '{}', all)
  else if (more !== '' || status === '422') t.is(at(answer.body, 'error'), more || undefined, all)
  // Platforms parse every body, and take a 422 with a code of a broker's own for a broken broker.
  t.regex(String(answer.headers['content-type']), /^application\/json/)
}
