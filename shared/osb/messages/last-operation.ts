import type { Context } from 'hono'
import type { LastOperation } from '../../values/nouns.ts'
import type { Edge } from '../edge/edge.ts'
import { retryAfter, Status } from './answers.ts'

/** @returns the answer to a poll (OSB: Polling Last Operation) */
export function answerPoll(c: Context<Edge>, last: LastOperation): Response {
  const { config } = c.var
  switch (last.state) {
    case 'gone':
      return config.finishedDelete === 410
        ? c.json({}, Status.Gone)
        : c.json({ state: 'succeeded' }, Status.OK)
    case 'in progress':
      return c.json(
        { state: last.state, description: last.description },
        Status.OK,
        retryAfter(config.retryAfter),
      )
    case 'succeeded':
      return c.json({ state: last.state, description: last.description }, Status.OK)
    case 'failed':
      return c.json(
        {
          state: last.state,
          description: last.description,
          ...(last.instanceUsable === undefined ? {} : { instance_usable: last.instanceUsable }),
          ...(last.updateRepeatable === undefined ? {} : { update_repeatable: last.updateRepeatable }),
        },
        Status.OK,
      )
  }
}
