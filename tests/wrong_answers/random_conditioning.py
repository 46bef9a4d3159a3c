"""Typical wrong answers to assignment 2. A name is the question and what is wrong; the docstring, what the check has to say."""

import torch

p_exponential = None  # the graded notebook has its own


def p_exponential__reversed(t, T, lam):
    """it falls with t"""
    return torch.exp(-lam * t / T)


def p_exponential__not_in_shares_of_T(t, T, lam):
    """counted in shares of T"""
    return torch.exp(-lam * (T - t).float())


def p_exponential__of_keeping(t, T, lam):
    """probability of *not* swapping"""
    return 1 - torch.exp(-lam * (1 - t / T))


def p_exponential__nothing_at_0(t, T, lam):
    """it is 0 at t = 0"""
    return 1 - torch.exp(-lam * t / T)


def swap__one_coin(c, t, pool, p, generator):
    """one coin for the whole batch"""
    replaced = torch.rand(1, generator=generator).expand(len(c)) < p(t).mean()
    strangers = pool[torch.randint(len(pool), (len(c),), generator=generator)]
    return torch.where(replaced.view(-1, *[1] * (c.ndim - 1)), strangers, c), replaced


def swap__within_the_batch(c, t, pool, p, generator):
    """not from the pool"""
    replaced = torch.rand(len(c), generator=generator) < p(t)
    strangers = c[torch.randperm(len(c), generator=generator)]
    return torch.where(replaced.view(-1, *[1] * (c.ndim - 1)), strangers, c), replaced


def swap__the_coin_turned(c, t, pool, p, generator):
    """the coin falls on the wrong side"""
    replaced = torch.rand(len(c), generator=generator) > p(t)
    strangers = pool[torch.randint(len(pool), (len(c),), generator=generator)]
    return torch.where(replaced.view(-1, *[1] * (c.ndim - 1)), strangers, c), replaced


def swap__in_place(c, t, pool, p, generator):
    """swap changes c"""
    replaced = torch.rand(len(c), generator=generator) < p(t)
    c[replaced] = pool[torch.randint(len(pool), (len(c),), generator=generator)][replaced]
    return c, replaced


def swap__number_by_number(c, t, pool, p, generator):
    """swapped whole or not at all"""
    replaced = torch.rand(len(c), generator=generator) < p(t)
    strangers = pool[torch.randint(len(pool), (len(c),), generator=generator)]
    if c.ndim == 1:
        return torch.where(replaced, strangers, c), replaced
    return torch.where(torch.rand(c.shape, generator=generator) < 0.5, strangers, c), replaced


def swap__one_p_for_all(c, t, pool, p, generator):
    """every sample has its own t"""
    replaced = torch.rand(len(c), generator=generator) < p(t).mean()
    strangers = pool[torch.randint(len(pool), (len(c),), generator=generator)]
    return torch.where(replaced.view(-1, *[1] * (c.ndim - 1)), strangers, c), replaced


def swap__without_saying_so(c, t, pool, p, generator):
    """swap has to return 2 things, and returned one Tensor"""
    replaced = torch.rand(len(c), generator=generator) < p(t)
    strangers = pool[torch.randint(len(pool), (len(c),), generator=generator)]
    return torch.where(replaced.view(-1, *[1] * (c.ndim - 1)), strangers, c)


def swap__coins_of_their_own(c, t, pool, p, generator):
    """the same generator gives two different swaps (their coins)"""
    replaced = torch.rand(len(c)) < p(t)
    strangers = pool[torch.randint(len(pool), (len(c),), generator=generator)]
    return torch.where(replaced.view(-1, *[1] * (c.ndim - 1)), strangers, c), replaced


def swap__strangers_of_their_own(c, t, pool, p, generator):
    """the same generator gives two different swaps (their strangers)"""
    replaced = torch.rand(len(c), generator=generator) < p(t)
    strangers = pool[torch.randint(len(pool), (len(c),))]
    return torch.where(replaced.view(-1, *[1] * (c.ndim - 1)), strangers, c), replaced


def swap__a_new_generator_each_time(c, t, pool, p, generator):
    """two calls in a row, with one generator, throw the same coins"""
    generator = torch.Generator().manual_seed(0)
    replaced = torch.rand(len(c), generator=generator) < p(t)
    strangers = pool[torch.randint(len(pool), (len(c),), generator=generator)]
    return torch.where(replaced.view(-1, *[1] * (c.ndim - 1)), strangers, c), replaced


def swap__strangers_one_by_one(c, t, pool, p, generator):
    """two calls in a row, with one generator, draw the same strangers"""
    replaced = torch.rand(len(c), generator=generator) < p(t)
    strangers = pool[torch.arange(len(c)) % len(pool)]
    return torch.where(replaced.view(-1, *[1] * (c.ndim - 1)), strangers, c), replaced


def swap__replaced_by_what_has_changed(c, t, pool, p, generator):
    """not every stranger looks like one"""
    replaced = torch.rand(len(c), generator=generator) < p(t)
    strangers = pool[torch.randint(len(pool), (len(c),), generator=generator)]
    c_hat = torch.where(replaced.view(-1, *[1] * (c.ndim - 1)), strangers, c)
    return c_hat, (c_hat != c).view(len(c), -1).any(dim=1)


def swap__never_its_own(c, t, pool, p, generator):
    """drawn alike, a tenth would be"""
    replaced = torch.rand(len(c), generator=generator) < p(t)
    strangers = pool[torch.randint(len(pool), (len(c),), generator=generator)]
    if c.ndim == 1:
        like = strangers == c
        strangers = torch.where(like, pool[(torch.searchsorted(pool, c).clamp(max=len(pool) - 1) + 1) % len(pool)], strangers)
    return torch.where(replaced.view(-1, *[1] * (c.ndim - 1)), strangers, c), replaced


def swap__exchanged(c, t, pool, p, generator):
    """yours seem to be exchanged"""
    replaced = torch.rand(len(c), generator=generator) < p(t)
    strangers = pool[torch.randint(len(pool), (len(c),), generator=generator)]
    return replaced, torch.where(replaced.view(-1, *[1] * (c.ndim - 1)), strangers, c)


def swap__floats(c, t, pool, p, generator):
    """c_hat should hold what c does, torch.int64; it holds torch.float32"""
    replaced = torch.rand(len(c), generator=generator) < p(t)
    strangers = pool[torch.randint(len(pool), (len(c),), generator=generator)]
    one = replaced.float().view(-1, *[1] * (c.ndim - 1))
    return one * strangers + (1 - one) * c, replaced


def swap__replaced_as_floats(c, t, pool, p, generator):
    """yes or no for every sample, torch.bool; it is torch.float32"""
    replaced = torch.rand(len(c), generator=generator) < p(t)
    strangers = pool[torch.randint(len(pool), (len(c),), generator=generator)]
    return torch.where(replaced.view(-1, *[1] * (c.ndim - 1)), strangers, c), replaced.float()


def data_and_pool__without_its_label(c, digit):
    """how would the student ever be asked for one"""
    return (c != digit).nonzero().flatten(), torch.tensor([label for label in range(10) if label != digit])


def data_and_pool__the_wrong_rows(c, digit):
    """the rows are only those of the digit"""
    return (c == digit).nonzero().flatten(), torch.arange(10)


def data_and_pool__everything(c, digit):
    """the rows are also those of the digit"""
    return torch.arange(len(c)), torch.arange(10)


def data_and_pool__a_mask(c, digit):
    """rows should be a tensor of row numbers"""
    return c != digit, torch.arange(10)


def data_and_pool__in_the_other_order(c, digit):
    """rows come first, and then the pool"""
    return torch.arange(10), (c != digit).nonzero().flatten()


def data_and_pool__labels_for_rows(c, digit):
    """numbers of rows, or labels"""
    return c[c != digit], torch.arange(10)


def data_and_pool__with_the_null_condition(c, digit):
    """the pool holds 10, which is no digit's label"""
    return (c != digit).nonzero().flatten(), torch.arange(11)


def data_and_pool__floats_in_the_pool(c, digit):
    """pool should be a tensor of labels, (P,) integers; it is torch.float32"""
    return (c != digit).nonzero().flatten(), torch.linspace(0, 9, 10)


def data_and_pool__rows_beyond_the_end(c, digit):
    """where the data have rows 0 to 199"""
    return torch.arange(len(c) - 1, len(c) + 1), torch.arange(10)


def distillation_loss__the_teacher_asked_the_old(teacher, student, x_t, t, c, c_hat):
    """asked about different conditions"""
    with torch.no_grad():
        target = teacher(x_t, t, c)
    return (student(x_t, t, c_hat) - target).square().mean()


def distillation_loss__no_swap(teacher, student, x_t, t, c, c_hat):
    """where is the swap"""
    with torch.no_grad():
        target = teacher(x_t, t, c)
    return (student(x_t, t, c) - target).square().mean()


def distillation_loss__the_teacher_learns(teacher, student, x_t, t, c, c_hat):
    """the teacher's weights get a gradient"""
    return (student(x_t, t, c_hat) - teacher(x_t, t, c_hat)).square().mean()


def distillation_loss__no_gradient(teacher, student, x_t, t, c, c_hat):
    """the loss has no gradient"""
    with torch.no_grad():
        return (student(x_t, t, c_hat) - teacher(x_t, t, c_hat)).square().mean()


def distillation_loss__a_sum(teacher, student, x_t, t, c, c_hat):
    """grow with the batch"""
    return (student(x_t, t, c_hat) - teacher(x_t, t, c_hat).detach()).square().sum()


def times_asked__for_any_digit(lam, T, steps, batch_size, pool_size):
    """not all for that digit"""
    return steps * batch_size * p_exponential(torch.arange(T), T, lam).mean()


def times_asked__without_the_batch(lam, T, steps, batch_size, pool_size):
    """batches of one"""
    return steps * p_exponential(torch.arange(T), T, lam).mean() / pool_size


def times_asked__always_swapped(lam, T, steps, batch_size, pool_size):
    """as if every condition were swapped"""
    return steps * batch_size / pool_size


def times_asked__p_in_the_middle(lam, T, steps, batch_size, pool_size):
    """is not its mean"""
    return steps * batch_size * p_exponential(torch.tensor(T // 2), T, lam) / pool_size


def times_asked__of_a_thousand(lam, T, steps, batch_size, pool_size):
    """T = 500, pool_size = 7 is off by up to"""
    return steps * batch_size * p_exponential(torch.arange(1000), T, lam).mean() / pool_size


def times_asked__of_ten_labels(lam, T, steps, batch_size, pool_size):
    """T = 500, pool_size = 7 is off by up to"""
    return steps * batch_size * p_exponential(torch.arange(T), T, lam).mean() / 10


def times_asked__all_numbers(lam, T, steps, batch_size, pool_size):
    """has to be a number, and is 1000 numbers"""
    return steps * batch_size * p_exponential(torch.arange(T), T, lam) / pool_size
