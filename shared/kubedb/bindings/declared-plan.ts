/**
 * What has to be done so that KubeDB's users are those of the binding records, where OpsRequests make and remove them.
 * Pure.
 *
 * One request is under way at a time, and each carries everything that is wanted by then. Requests are numbered: the
 * name of the next one is that of the latest and one more, so of all who plan at the same time one makes it. A record
 * notes the number of the request that is to make its user before that request is made. Whatever was planned for a
 * number that has been given to a request cannot come true any more, except by that request. A number that KubeDB
 * refuses to give to any request is taken out of the record again.
 */

/** An OpsRequest of the instance. */
export interface UsersRequest {
  /** 0 for requests that are not about users, such as those of updates */
  number: number
  phase: string
  make: readonly string[]
  remove: readonly string[]
  /** milliseconds since the epoch */
  created: number
  /** KubeDB's latest word on it */
  message: string
}

/** A binding as far as its user goes. */
export interface UserRecord {
  user: string
  state: 'creating' | 'ready' | 'failed' | 'deleting'
  /** number of the request that is to make the user; 0 as long as there is none */
  request: number
  /** when the work of this state began, in milliseconds since the epoch */
  since: number
  /** that is so long ago that nobody is at work any more who had read the record before */
  settled: boolean
  expired: boolean
}

export interface UsersSituation {
  /** users that KubeDB's spec of the database has */
  declared: readonly string[]
  requests: readonly UsersRequest[]
  records: readonly UserRecord[]
  /** whether there are records that cannot be read, so that whose a user is is not known */
  unreadable: boolean
}

export interface UsersPlan {
  /** users of records `creating` that are there */
  made: string[]
  /** users of records `deleting` that are gone for good */
  removed: string[]
  /** users that KubeDB could not make or remove, though asked several times */
  failed: { user: string; why: string }[]
  next:
    | { do: 'nothing' }
    /** a request is under way */
    | { do: 'wait'; why: string }
    | { do: 'request'; number: number; make: string[]; remove: string[] }
  /** numbers of requests that have nothing to tell any more */
  over: number[]
}

/** As often as this, KubeDB is asked to make or remove a user. */
const attempts = 3

const ended = new Set(['Successful', 'Failed', 'Denied', 'Skipped'])

const unfinished = ({ phase }: UsersRequest): boolean => !ended.has(phase)

/** Whether it could not do what the state asks for that began then; creation times have whole seconds. */
const hasFailed = ({ phase, created }: UsersRequest, since: number): boolean =>
  (phase === 'Failed' || phase === 'Denied') && created >= since - 1000

type Fate = { is: 'there' } | { is: 'absent' } | { is: 'under way' } | { is: 'in doubt'; why: string }

/** What became of a user, by the latest request that was about it, else by KubeDB's spec. */
export function fateOf(
  user: string,
  { declared, requests }: Pick<UsersSituation, 'declared' | 'requests'>,
): Fate {
  const about = requests
    .filter(
      ({ make, remove, phase }) => phase !== 'Skipped' && (make.includes(user) || remove.includes(user)),
    )
    .sort((one, other) => one.number - other.number)
  const latest = about.at(-1)
  if (!latest) return declared.includes(user) ? { is: 'there' } : { is: 'absent' }
  if (unfinished(latest)) return { is: 'under way' }
  if (latest.phase === 'Successful') return latest.make.includes(user) ? { is: 'there' } : { is: 'absent' }
  return { is: 'in doubt', why: latest.message }
}

/** @returns what is done, what is not to be done any more, and what is to be done next */
export function planUsers(situation: UsersSituation): UsersPlan {
  const { declared, requests, records, unreadable } = situation
  const latest = Math.max(0, ...requests.map(({ number }) => number))
  const plan: UsersPlan = { made: [], removed: [], failed: [], next: { do: 'nothing' }, over: [] }
  const wishes: { make: string[]; remove: string[] } = { make: [], remove: [] }
  const wish = (kind: keyof typeof wishes, { user, since }: UserRecord, fate: Fate) => {
    // Of the same kind alone: a binding may be given up in the second in which its user could not be made.
    const tried = requests.filter((one) => one[kind].includes(user) && hasFailed(one, since))
    if (fate.is === 'in doubt' && tried.length >= attempts) plan.failed.push({ user, why: fate.why })
    else wishes[kind].push(user)
  }
  for (const record of records) {
    const { user, state, request, settled, expired } = record
    const fate = fateOf(user, situation)
    if (fate.is === 'under way') continue
    switch (state) {
      case 'creating':
        // What is there by the spec alone may be the half-done work of a request that came after the requests were read.
        if (fate.is === 'there' && request <= latest) plan.made.push(user)
        else wish('make', record, fate)
        break
      case 'deleting':
        // A request that is to make the user may still come, as long as its number is free: that is taken then. Where
        // KubeDB lets nobody have it, time tells that nobody is about to take it.
        if (fate.is === 'absent' && (request <= latest || settled)) plan.removed.push(user)
        else wish('remove', record, fate)
        break
      case 'ready':
        if (expired && fate.is !== 'absent') wishes.remove.push(user)
        break
      case 'failed':
    }
  }
  if (!unreadable) {
    const known = new Set(records.map(({ user }) => user))
    wishes.remove.push(
      ...declared.filter((user) => !known.has(user) && fateOf(user, situation).is === 'there'),
    )
  }
  const busy = requests.find(unfinished)
  if (busy)
    plan.next = { do: 'wait', why: busy.message || 'KubeDB has another change of the database to make' }
  else if (wishes.make.length + wishes.remove.length > 0)
    plan.next = { do: 'request', number: latest + 1, ...wishes }
  plan.over = requests
    .filter((one) => one.number > 0 && one.number < latest && !unfinished(one) && !needed(one, records))
    .map(({ number }) => number)
  return plan
}

/** As long as a binding is being made or removed, the requests about it tell how far it is. */
function needed({ make, remove }: UsersRequest, records: readonly UserRecord[]): boolean {
  return records.some(
    ({ user, state }) =>
      (state === 'creating' || state === 'deleting') && (make.includes(user) || remove.includes(user)),
  )
}
