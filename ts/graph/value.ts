/** Columns [offset, offset + columns) of a buffer of a Program, which is named by its index. */
export interface Value {
  readonly buffer: number;
  readonly offset: number;
  readonly columns: number;
}
