/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs a grid of a device's threads on the processor. Threads that wait for each other have a stack each and take
   turns; a thread runs until it waits. From launch to launch the first and the last thread of a block take turns in
   being first, so that a kernel that forgets to wait gives wrong bytes. */
#include "cuda_runtime.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#if defined(__SANITIZE_ADDRESS__)
#define WATCHED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WATCHED 1
#endif
#endif
#ifdef WATCHED
#include <sanitizer/common_interface_defs.h>
#endif

/* Jumps from one stack to another. The compilers' own, where they have them, save less, and the address sanitizer does
   not stop each of them to make a system call */
#if defined(__x86_64__) || (defined(__aarch64__) && !defined(__clang__))
typedef void *Place[5];
#define MARK_PLACE(place) __builtin_setjmp (place)
#define GO_TO_PLACE(place) __builtin_longjmp (place, 1)
#else
typedef jmp_buf Place;
#define MARK_PLACE(place) _setjmp (place)
#define GO_TO_PLACE(place) _longjmp (place, 1)
#endif
/* A function that jumps changes all memory and all registers that a call may change, whatever compilers see of it */
#ifdef __clang__
#define JUMPS __attribute__ ((noinline, no_sanitize ("address")))
#else
#define JUMPS __attribute__ ((noipa, no_sanitize ("address")))
#endif
#define JUMPED() asm volatile("" : : : "memory")

CudaHostIndex threadIdx, blockIdx, blockDim, gridDim;

namespace {
const unsigned int MOST_THREADS = 1024, WARP = 32;
const size_t STACK = 128 * 1024, MOST_BYTES = 8;

/* A meeting point of @expected threads. A thread that comes when the others of its round have left begins the next
   round; values of two rounds are kept, because the fastest thread may be one round ahead of the slowest */
struct Gate {
  unsigned int arrived, round;
};

/* A thread with a stack of its own. It begins by its context; after that it is left and entered by jumps, which need no
   system call. When its kernel has ended it waits for the next one */
struct Fiber {
  ucontext_t context;
  Place place;
  char *stack;
  bool started, done;
};

Fiber *fibers;
Place scheduler;
unsigned int current;
bool running_together, moved;
Gate block_gate, warp_gates[MOST_THREADS / WARP][WARP];
unsigned char values[2][MOST_THREADS][MOST_BYTES];
const std::function<void ()> *kernel_to_run;

#ifdef WATCHED
const void *main_stack;
size_t main_stack_size;
#endif

/* A function of its own: compilers do not expect that one function marks places and goes to others */
[[noreturn]] JUMPS void
go_to (Place place)
{
  GO_TO_PLACE (place);
}

JUMPS void
leave_fiber (Fiber *f)
{
#ifdef WATCHED
  void *fake;

  __sanitizer_start_switch_fiber (&fake, main_stack, main_stack_size);
#endif
  if (MARK_PLACE (f->place) == 0)
    go_to (scheduler);
  JUMPED ();
#ifdef WATCHED
  __sanitizer_finish_switch_fiber (fake, &main_stack, &main_stack_size);
#endif
}

void
run_fiber ()
{
#ifdef WATCHED
  __sanitizer_finish_switch_fiber (NULL, &main_stack, &main_stack_size);
#endif
  for (;;)
    {
      (*kernel_to_run) ();
      fibers[current].done = moved = true;
      leave_fiber (&fibers[current]);
    }
}

JUMPS void
enter_fiber (Fiber *f)
{
#ifdef WATCHED
  void *fake;

  __sanitizer_start_switch_fiber (&fake, f->stack, STACK);
#endif
  if (MARK_PLACE (scheduler) == 0)
    {
      if (f->started)
        go_to (f->place);
      f->started = true;
      setcontext (&f->context);
    }
  JUMPED ();
#ifdef WATCHED
  __sanitizer_finish_switch_fiber (fake, NULL, NULL);
#endif
}

void
make_fiber (Fiber *f)
{
  f->stack = (char *) malloc (STACK);
  getcontext (&f->context);
  f->context.uc_stack.ss_sp = f->stack;
  f->context.uc_stack.ss_size = STACK;
  f->context.uc_link = NULL;
  makecontext (&f->context, run_fiber, 0);
}

/* Returns the round in which the threads met */
unsigned int
wait_at (Gate *gate, unsigned int expected)
{
  unsigned int round = gate->round;

  if (!running_together)
    {
      fputs ("threads wait for each other in a kernel that was started without \"together\"\n", stderr);
      abort ();
    }
  moved = true;
  if (++gate->arrived == expected)
    {
      gate->arrived = 0;
      gate->round++;
      return round;
    }
  while (gate->round == round)
    leave_fiber (&fibers[current]);
  moved = true;
  return round;
}

/* Lets every thread run until all are done. A turn in which none gets further is a deadlock */
void
run_block (unsigned int threads, bool backwards)
{
  unsigned int left = threads;

  for (unsigned int i = 0; i < threads; i++)
    {
      if (fibers[i].stack == NULL)
        make_fiber (&fibers[i]);
      fibers[i].done = false;
    }
  block_gate = {};
  memset (warp_gates, 0, sizeof warp_gates);
  while (left > 0)
    {
      moved = false;
      for (unsigned int i = 0; i < threads; i++)
        {
          threadIdx.x = current = backwards ? threads - 1 - i : i;
          if (fibers[current].done)
            continue;
          enter_fiber (&fibers[current]);
          left -= fibers[current].done;
        }
      if (!moved)
        {
          fprintf (stderr, "%u threads of a block wait for ever\n", left);
          abort ();
        }
    }
}
}

cudaError_t
qconv_cuda_host_launch (cudaStream_t, unsigned int blocks, unsigned int threads, bool together,
                        const std::function<void ()> &kernel)
{
  static bool backwards;

  gridDim.x = blocks;
  blockDim.x = threads;
  running_together = together;
  kernel_to_run = &kernel;
  backwards = !backwards;
  if (fibers == NULL)
    fibers = new Fiber[MOST_THREADS]();
  for (blockIdx.x = 0; blockIdx.x < blocks; blockIdx.x++)
    if (together)
      run_block (threads, backwards);
    else
      for (unsigned int i = 0; i < threads; i++)
        {
          threadIdx.x = backwards ? threads - 1 - i : i;
          kernel ();
        }
  return cudaSuccess;
}

void
__syncthreads (void)
{
  wait_at (&block_gate, blockDim.x);
}

void
qconv_cuda_host_exchange (unsigned int mask, unsigned int lane, void *value, size_t n)
{
  unsigned int warp = threadIdx.x / WARP, first = (unsigned int) __builtin_ctz (mask);
  Gate *gate = &warp_gates[warp][first];
  unsigned int bank = gate->round % 2;

  if (n > MOST_BYTES || (mask >> (threadIdx.x % WARP) & 1) == 0 || (mask >> lane & 1) == 0)
    {
      fputs ("a shuffle of too many bytes, or of threads that the mask does not name\n", stderr);
      abort ();
    }
  memcpy (values[bank][threadIdx.x], value, n);
  wait_at (gate, (unsigned int) __builtin_popcount (mask));
  memcpy (value, values[bank][warp * WARP + lane], n);
}
