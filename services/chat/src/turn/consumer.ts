/** The group that answers. */

/** Not a setting: under another name the group has no offsets, and every turn is run again. */
export const groupId = 'chat';
