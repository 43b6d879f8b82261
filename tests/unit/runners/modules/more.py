from warren_runner import task


@task
def mul(x, y):
    return x * y
