/** Every command the stand-in has. */
import type { Commands } from '../parts/command.ts'
import { administration } from './administration.ts'
import { authentication } from './authentication.ts'
import { collections } from './collections.ts'
import { documents } from './documents.ts'
import { hello } from './hello.ts'
import { notCarriedOut } from './not-carried-out.ts'
import { queries } from './queries.ts'
import { sessions } from './sessions.ts'
import { users } from './users.ts'

export const commands: Commands = {
  ...hello,
  ...authentication,
  ...users,
  ...collections,
  ...documents,
  ...queries,
  ...sessions,
  ...administration,
  ...notCarriedOut,
}
