import * as fs from 'node:fs';
import { promisify } from 'node:util';

// What reading a model needs of node:fs, as promises. node:fs/promises loads readline and streams with it and has a handle for every file:
// 0.9 MB that a process keeps. Who needs handles takes `promises` of node:fs, which is loaded when it is used.
export const access = promisify(fs.access);
export const copyFile = promisify(fs.copyFile);
export const link = promisify(fs.link);
export const mkdir = promisify(fs.mkdir);
export const readdir = promisify(fs.readdir);
export const readFile = promisify(fs.readFile);
export const realpath = promisify(fs.realpath);
export const rename = promisify(fs.rename);
export const rm = promisify(fs.rm);
export const stat = promisify(fs.stat);
export const statfs = promisify(fs.statfs);
export const symlink = promisify(fs.symlink);
export const utimes = promisify(fs.utimes);
export const writeFile = promisify(fs.writeFile);
