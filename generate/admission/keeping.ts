/** What no patch changes. Pure. */
import { isMembers, type Members, type Shape } from './shape.ts'
import { type PlaceOf, step } from './table.ts'

export interface Keeping {
  /** as it was before, or as absent */
  fixed: PlaceOf[]
  /** as it was before; where nothing was, something may come */
  kept: PlaceOf[]
}

/**
 * @param draft what the broker writes when it makes the object
 * @param defaults what others add of themselves
 * @param patch what the broker changes later
 * @param part name of members that are not looked into
 */
export function keeping(
  draft: Shape | undefined,
  defaults: Shape | undefined,
  patch: Shape | undefined,
  place: PlaceOf,
  part?: string,
): Keeping {
  if (patch !== undefined && !(isMembers(patch) && (isBranch(draft) || isBranch(defaults))))
    return { fixed: [], kept: [] }
  if (defaults === undefined) return { fixed: [place], kept: [] }
  if (!isBranch(draft) && !isBranch(defaults)) return { fixed: [], kept: [place] }
  const [one, other, changes] = [membersOf(draft), membersOf(defaults), membersOf(patch)]
  const below = [...new Set([...Object.keys(one), ...Object.keys(other)])]
    .sort()
    .filter((key) => key !== part && key !== 'containers' && key !== 'initContainers')
    .map((key) =>
      keeping(
        one[key],
        other[key],
        changes[key],
        { path: `${place.path}.${key}`, way: `${place.way}${step(key)}` },
        part,
      ),
    )
  return { fixed: below.flatMap(({ fixed }) => fixed), kept: below.flatMap(({ kept }) => kept) }
}

const membersOf = (shape: Shape | undefined): Members =>
  shape !== undefined && isMembers(shape) ? shape : {}
const isBranch = (shape: Shape | undefined): boolean => Object.keys(membersOf(shape)).length > 0
